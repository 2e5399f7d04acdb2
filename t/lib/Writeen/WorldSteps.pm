package Writeen::Steps;

# Writeen::WorldSteps: the steps that are no client's: Redis, rooms and users
# in it, the worker that answers nginx's calls, crowds, the script itself.  A
# part of Writeen::Steps.

use strict;
use warnings;

use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

our $Json;
my $Oid = 0;


sub oid {
    return sprintf '%08x%016x', time, ++$Oid;
}


sub now_iso {
    my $now = time;

    return POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime $now)
           . sprintf '.%03dZ', ($now - int $now) * 1000;
}


# Words of a line: single quotes keep blanks, \n and \xNN are escapes.
sub words {
    my ($text) = @_;
    my @words;

    while ($text =~ /\G\s*((?:'[^']*'|[^\s'])+)/g) {
        my $word = $1;
        $word =~ s/'([^']*)'/$1/g;
        push @words, unescape($word);
    }

    return @words;
}


sub flat {
    my ($reply) = @_;

    return '(nil)' if !defined $reply;
    return join ' ', map { flat($_) } @$reply if ref $reply eq 'ARRAY';
    return "(error) $$reply" if ref $reply;
    return $reply;
}


sub ask_redis {
    my ($self, $server, @args) = @_;

    my $reply = $server->cmd(@args);
    die flat($reply) . "\n  to @args\n" if ref $reply eq
                                            'Writeen::Redis::Error';

    return $reply;
}


# A function of writeen.lua as Redis knows it: with the library's version.
sub function {
    my ($name) = @_;

    open my $h, '<', 'common/wrt_names.h' or die "common/wrt_names.h: $!\n";
    my ($version) = do { local $/; <$h> } =~ /LIBRARY_VERSION\s+"(\d+)"/
        or die "common/wrt_names.h has no version\n";

    return "${name}_$version";
}


# Call a function of writeen.lua; dies unless it answers ok (or exists).
sub fcall {
    my ($self, $server, $name, @args) = @_;

    my $reply = $self->ask_redis($server, 'FCALL', function($name), @args);
    die "$name @args: " . flat($reply) . "\n"
        if ref $reply ne 'ARRAY' || $reply->[0] !~ /^(?:ok|exists)$/;

    return $reply;
}


# -- state in Redis --

# room ID member[:permissions[:role]]... [seq=N] [state=S] [lists=0]
# A conversation as the worker loads it, in its members' lists (lists=0: not).
sub step_room {
    my ($self, $text) = @_;
    my ($id, @words) = split ' ', $text;
    my %o = (seq => 0, state => 'active', lists => 1);
    my (@fields, @users);

    for (@words) {
        $o{$1} = $2, next if /^(\w+)=(.*)/;
        my ($uid, $perm, $role) = split /:/;
        push @fields, "m:$uid",
                      ($perm // 'rwud') . '|' . ($role // 'student') . '|0';
        push @users, $uid;
    }

    my $home = $self->home($id);
    $self->fcall($home, 'wrt_load', 1, $self->expand("%conv($id)"), $o{seq},
                 $o{state}, now_iso(), @fields);

    $self->step_user("$_ $id") for $o{lists} ? @users : ();
}


# user UID [ROOM]...: his list of rooms is whole and has these
sub step_user {
    my ($self, $text) = @_;
    my ($uid, @rooms) = split ' ', $text;

    $self->ask_redis($self->hub, 'HSET', "wrt:u:$uid:convs", '~', 1,
                     map { $_, 0 } @rooms);
}


# post ROOM UID TEXT: a message, as another nginx would send it
sub step_post {
    my ($self, $text) = @_;
    my ($id, $uid, $body) = $text =~ /^(\S+) (\S+) (.*)$/s
        or die "post ROOM UID TEXT\n";
    my $mid = oid();
    # the id first, as wrt_cursor looks for it
    my $head = ',"message":{"id":"' . $mid . '",' . substr $Json->encode({
        conversationId => $id, senderId => $uid,
        sender => { name => undef, avatar => undef }, type => 'text',
        content => { text => $body }, status => 'sent', readBy => [],
        replyTo => undef, reactions => [],
    }), 1;
    $head =~ s/\}$/,"createdAt":"/;

    $self->fcall($self->home($id), 'wrt_send', 4,
                 (map { $self->expand("%$_($id)") } qw(conv log ingest awake)),
                 $self->channel($id), $id, $uid, $mid,
                 '{"event":"message_received","data":{"conversationId":"'
                 . $id . '","seq":', $head, '', now_iso(), 1000000);
    $self->{vars}{posted} = $mid;
}


# emit ROOM KIND ACTOR TARGET {json with @SEQ@ and @AT@} [ops...]
# Another durable event, as the worker makes it.
sub step_emit {
    my ($self, $text) = @_;
    my ($id, $kind, $actor, $target, $json, $ops) =
        $text =~ /^(\S+) (\S) (\S+) (\S+) (\{.*\})(?: ops=(.*))?$/s
        or die "emit ROOM KIND ACTOR TARGET JSON\n";
    $json =~ s/\@SEQ\@/\x01/g;
    $json =~ s/\@AT\@/\x02/g;

    $self->fcall($self->home($id), 'wrt_emit', 4,
                 (map { $self->expand("%$_($id)") } qw(conv log ingest awake)),
                 $self->channel($id), $id, $actor, '', '', $kind,
                 $target, $json, '', now_iso(), 1000000, 0,
                 words($ops // ''));
}


# redis[@SERVER] COMMAND ARGS... [= TEXT | != TEXT | ~ RE | !~ RE | -> NAME]
sub step_redis {
    my ($self, $text, $server) = @_;

    my ($cmd, $op, $want) = $text =~ /^(.*?)(?:\s+(=|!?~|!=|->)\s+(.*))?$/s;
    my @args = words($cmd);
    $args[1] = function($args[1]) if $args[0] eq 'FCALL';
    my $reply = ($server ? $self->{servers}{$server} : $self->hub)
                    ->cmd(@args);
    my $got = flat($reply);

    if (!defined $op) {
        die "$got\n" if ref $reply eq 'Writeen::Redis::Error';
        return;
    }

    if ($op eq '->') {
        $self->{vars}{$want} = $got;
        return;
    }

    my $good = $op eq '=' ? $got eq $want
             : $op eq '!=' ? $got ne $want
             : $op eq '~' ? $got =~ /$want/ : $got !~ /$want/;
    die "got $got\n" if !$good;
}


# applied ROOM SEQ: the projector says that the store has it up to there
sub step_applied {
    my ($self, $text) = @_;
    my ($id, $seq) = split ' ', $text;
    my $home = $self->home($id);
    my $channel = $self->channel($id) =~ s/:room:.*/:applied/r;

    $self->fcall($home, 'wrt_applied', 2,
                 (map { $self->expand("%$_($id)") } qw(conv log)), $seq);
    $self->ask_redis($home, 'PUBLISH', $channel, "A $id $seq -\n");
}


# server NAME stop|kill|start|pause|resume|load (load: writeen.lua into it)
sub step_server {
    my ($self, $text) = @_;
    my ($name, $what) = split ' ', $text;
    my $server = $self->{servers}{$name} or die "no server $name\n";

    delete $self->{listener} if $what =~ /^(?:stop|kill)$/;
    $server->{paused} = $what eq 'pause' if $what =~ /^(?:pause|resume)$/;
    $what = 'kill9' if $what eq 'kill';
    $server->$what;
    $self->listen_calls if $what eq 'start' && @{ $self->{rules} };
}


# -- the worker, played --

# worker METHOD PATH STATUS [retry=S] [allow=METHODS] [delay=S] [BODY]
#        [then STEP]
#   How to answer nginx's calls of this kind (the last rule that fits counts;
#   * in PATH stands for anything; STATUS 0: not at all).  STEP is run before
#   the answer.  BODY is JSON, or text in quotes.
# worker up | worker store-down: its heartbeats say that it lives
sub step_worker {
    my ($self, $text) = @_;

    if ($text =~ /^(up|store-down)$/) {
        $self->ask_redis($self->hub, 'SET', $_, $1 eq 'up' ? 'ok' : 'store')
            for 'wrt:hb:api', 'wrt:hb:projector';
        return;
    }

    my $then = $text =~ s/\s+then\s+(.*)$//s ? $1 : undef;
    my ($method, $path, $status, $rest) =
        $text =~ /^(\S+)\s+(\S+)\s+(\d+)\s*(.*)$/s
        or die "worker METHOD PATH STATUS\n";
    my %rule = (method => $method, status => $status, then => $then,
                path => join '.*', map { quotemeta } split /\*/, $path, -1);

    $rule{$1} = $2 while $rest =~ s/^(retry|delay|allow)=(\S+)\s*//;
    $rule{body} = $rest =~ /^"(.*)"$/s ? unescape($1)
                  : $rest ne '' ? $rest : '{}';

    unshift @{ $self->{rules} }, \%rule;
    $self->listen_calls;
}


# Wait for calls on a connection of our own.
sub listen_calls {
    my ($self) = @_;

    return if $self->{listener};

    $self->{listener} = $self->hub->open_socket;
    $self->await_calls;
}


sub await_calls {
    my ($self) = @_;

    $self->{listener}{sock}->syswrite(Writeen::Redis::encode(
        'XREAD', 'COUNT', 100, 'BLOCK', 0, 'STREAMS',
        keys %{ $self->{streams} }, values %{ $self->{streams} }));
}


sub read_calls {
    my ($self) = @_;
    my $listener = $self->{listener};

    my $n = $listener->{sock}->sysread($listener->{in}, 65536,
                                       length $listener->{in});
    if (!$n) {
        delete $self->{listener};
        return;
    }

    while (1) {
        my ($done, $reply) = Writeen::Redis::parse(\$listener->{in});
        return if !$done;
        next if ref $reply ne 'ARRAY';

        for my $stream (@$reply) {
            for my $entry (@{ $stream->[1] }) {
                $self->{streams}{ $stream->[0] } = $entry->[0];
                my %call = @{ $entry->[1] };
                # what is in a spool, as if it were a call of this method
                @call{qw(m path)} = ('SPOOLED', $call{c})
                    if $stream->[0] ne 'wrt:rpc';
                push @{ $self->{calls} }, \%call;
                $self->answer(\%call);
            }
        }
        $self->await_calls;
    }
}


sub answer {
    my ($self, $call) = @_;

    my ($rule) = grep { $call->{m} eq $_->{method}
                        && ($call->{path} // $call->{p}) =~ /^$_->{path}$/ }
                      @{ $self->{rules} };
    return if !$rule || !$rule->{status};

    my $reply = sub {
        $self->step($rule->{then}) if defined $rule->{then};
        $self->ask_redis($self->hub, 'PUBLISH', $call->{r},
                         join ' ', 'R', $call->{i}, $rule->{status},
                                   ($rule->{retry} // $rule->{allow} // '-')
                                   . "\n$rule->{body}");
    };

    if ($rule->{delay}) {
        push @{ $self->{timers} }, [time + $rule->{delay}, $reply];
    } else {
        $reply->();
    }
}


sub calls_of {
    my ($self, $method, $path) = @_;

    return grep { $_->{m} eq $method
                  && ($path eq '*' || ($_->{path} // $_->{p}) eq $path) }
                @{ $self->{calls} };
}


# call METHOD PATH conditions: nginx made such a call (PATH *: any; the last is
# looked at); its fields are those of docs/redis.md, u and b also by their JSON
# members (u.sub, b.type).
sub step_call {
    my ($self, $text) = @_;
    my ($method, $path, $conds) = $text =~ /^(\S+)\s+(\S+)\s*(.*)$/s
        or die "call METHOD PATH\n";

    $self->pump(sub { scalar $self->calls_of($method, $path) });

    my ($call) = reverse $self->calls_of($method, $path)
        or die "no such call; there were:\n"
               . join '', map { "  $_->{m} " . ($_->{path} // $_->{p}) . "\n" }
                              @{ $self->{calls} };

    $self->check(sub {
        my ($field, $more) = split /\./, $_[0], 2;
        return exists $call->{$field} ? $call->{$field} : ()
            if !defined $more;
        return lookup(eval { $Json->decode($call->{$field}) }, $more);
    }, $conds, $Json->encode($call));
}


# calls METHOD PATH = N
sub step_calls {
    my ($self, $text) = @_;
    my ($method, $path, $want) = $text =~ /^(\S+)\s+(\S+)\s+=\s+(\d+)$/
        or die "calls METHOD PATH = N\n";
    my $got = $self->calls_of($method, $path);

    die "$got calls\n" if $got != $want;
}


# -- the script itself --

# crowd NAME N USER...: N clients NAME1 ... NAMEN, of the users in turn.  The
# kernel throws dice for the worker of each: where all are on one of several,
# the first comes again until they are not.
sub step_crowd {
    my ($self, $text) = @_;
    my ($name, $n, @users) = split ' ', $text;

    $self->client_connect("$name$_", $users[ ($_ - 1) % @users ])
        for 1 .. $n;

    for (1 .. 100) {
        last if !$self->{several} || $n < 2
                || !grep { !$_ } values %{ { $self->spread } };
        $self->client_connect("${name}1", $users[0]);
    }
}


sub crowd {
    my ($self, $name) = @_;
    my @all = grep { /^\Q$name\E\d+$/ } keys %{ $self->{clients} };

    return sort { substr($a, length $name) <=> substr($b, length $name) }
                @all;
}


# all NAME STEP: each of a crowd takes the step
sub step_all {
    my ($self, $text) = @_;
    my ($name, $step) = $text =~ /^(\w+)\s+(.*)$/s or die "all WHO WHAT\n";

    for my $one ($self->crowd($name)) {
        eval { $self->step("$one $step"); 1 } or die "$one: $@";
    }
}


# crowd-open NAME < N, crowd-open NAME > N: so many have had no Close yet
sub step_crowd_open {
    my ($self, $text) = @_;
    my ($name, $op, $want) = $text =~ /^(\w+) ([<>]) (\d+)$/
        or die "crowd-open NAME < N\n";
    my $open = grep {
        my $c = $self->{clients}{$_};
        !$c->{eof} && !grep { $_->{op} eq 'close' } @{ $c->{frames} };
    } $self->crowd($name);

    die "$open are open\n" if $op eq '<' ? $open >= $want : $open <= $want;
}


sub step_sleep {
    my ($self, $seconds) = @_;

    $self->pump(sub { 0 }, $seconds);
}


# token NAME [alg=] [sign=] [key=] [kid=] [typ=] claim=value... -claim
# claims={json} sets claims of any type, crit=[json] that header member.
sub step_token {
    my ($self, $text) = @_;
    my ($name, $rest) = $text =~ /^(\w+)\s*(.*)$/s or die "token NAME\n";
    my (%o, %claims);

    while ($rest =~ /\G\s*(?:-(\w+)|(\w+)=(\{.*\}|"[^"]*"|\S*))/gcs) {
        my ($without, $key, $value) = ($1, $2, $3);
        $claims{$without} = undef, next if defined $without;

        $value =~ s/^"(.*)"$/$1/s;
        if ($key =~ /^(?:alg|sign|key|kid|typ)$/) {
            $o{$key} = $value;
        } elsif ($key eq 'crit') {
            $o{crit} = $Json->decode($value);
        } elsif ($key eq 'claims') {
            $o{raw} = $Json->decode($value);
        } else {
            $claims{$key} = $value;
        }
    }

    $claims{sub} = 'u1' if !exists $claims{sub};
    utf8::decode($claims{$_}) for grep { defined $claims{$_} } keys %claims;
    $self->{vars}{$name} = $self->{tokens}->mint(%o, claims => \%claims);
}


# set NAME VALUE
sub step_set {
    my ($self, $text) = @_;
    my ($name, $value) = $text =~ /^(\w+)\s+(.*)$/s or die "set NAME VALUE\n";

    $self->{vars}{$name} = payload($value);
}


# until STEP [else STEP]: repeat it until it is true, with the other in between
sub step_until {
    my ($self, $text) = @_;
    my ($step, $else) = split /\s+else\s+/, $text, 2;
    my $until = time + $self->{timeout} * 2;

    while (1) {
        return if eval { $self->step($step); 1 };
        die $@ if time > $until;
        $self->step($else) if defined $else;
        $self->pump(sub { 0 }, defined $else ? 0.01 : 0.05);
    }
}

1;
