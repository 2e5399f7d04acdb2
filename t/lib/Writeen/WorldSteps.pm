package Writeen::Steps;

# Writeen::WorldSteps: the steps that are no client's: Redis, rooms and users
# in it, the worker that answers nginx's calls, nginx itself and its logs.
# A part of Writeen::Steps.

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


# Call a function of writeen.lua; dies unless it answers ok (or exists).
sub fcall {
    my ($self, $server, @args) = @_;

    my $reply = $self->ask_redis($server, 'FCALL', @args);
    die "@args: " . flat($reply) . "\n"
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

    $self->fcall($self->home($id), 'wrt_send', 3,
                 (map { $self->expand("%$_($id)") } qw(conv log ingest)),
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

    $self->fcall($self->home($id), 'wrt_emit', 3,
                 (map { $self->expand("%$_($id)") } qw(conv log ingest)),
                 $self->channel($id), $id, $actor, '', '', $kind,
                 $target, $json, '', now_iso(), 1000000, 0,
                 words($ops // ''));
}


# redis[@SERVER] COMMAND ARGS... [= TEXT | != TEXT | ~ RE | !~ RE | -> NAME]
sub step_redis {
    my ($self, $text, $server) = @_;

    my ($cmd, $op, $want) = $text =~ /^(.*?)(?:\s+(=|!?~|!=|->)\s+(.*))?$/s;
    my @args = words($cmd);
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


# -- nginx --

sub pid {
    my ($self) = @_;

    open my $fh, '<', $self->{pid_file} or return 0;
    my $pid = <$fh>;

    return int($pid // 0);
}


# Its state, as /proc has it (T: stopped, Z: a zombie); none: it is gone.
sub proc_state {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return '';

    return (<$fh> // '') =~ /^\d+ \(.*\) (\S)/ ? $1 : '';
}


sub alive { return proc_state($_[0]) =~ /[^Z]/ }


# Its worker processes, by their parent: pid => title.
sub workers {
    my ($self, $master) = @_;
    my %title;

    for my $dir (glob '/proc/[0-9]*') {
        open my $fh, '<', "$dir/stat" or next;
        my ($pid, $state, $parent) = <$fh> =~ /^(\d+) \(.*\) (\S) (\d+)/
            or next;
        next if $parent != $master || $state eq 'Z';

        open $fh, '<', "$dir/cmdline" or next;
        my $title = <$fh> // '';
        $title{$pid} = $title if $title =~ /worker process/;
    }

    return %title;
}


# Memory of its own that all of them have, in KB.
sub memory {
    my ($self, $master) = @_;
    my $sum = 0;

    for my $pid (keys %{ { $self->workers($master) } }) {
        open my $fh, '<', "/proc/$pid/status" or next;
        for (<$fh>) {
            $sum += $1 if /^RssAnon:\s+(\d+)/;
        }
    }

    return $sum;
}


# Sockets of connections to our port, as links in /proc/PID/fd show them.
sub inodes {
    my ($self) = @_;
    my $port = sprintf '%04X', $self->{port};

    open my $fh, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!\n";

    return map { my @f = split;
                 $f[1] =~ /:$port$/ && $f[3] eq '01' ? ("socket:[$f[9]]", 1)
                                                     : () } <$fh>;
}


# How many of the clients' connections each worker has: pid => number.
sub spread {
    my ($self) = @_;
    my %on = map { $_ => 0 } keys %{ { $self->workers($self->pid) } };
    my %inode = $self->inodes;

    for my $worker (keys %on) {
        $on{$worker} = grep { $inode{ readlink($_) // '' } }
                            glob "/proc/$worker/fd/*";
    }

    return %on;
}


# nginx reload       HUP; returns when the new workers are there
# nginx hup          the signal alone
# nginx quit|term    the signal, to the master
# nginx kill-worker  KILL to one worker
# nginx old-gone S   workers from before the reload end within S seconds
# nginx gone S       so does nginx
# nginx workers = N
# nginx memory mark | < KB   what the workers have grown by since it was marked
# nginx ready        every worker has its Redis connections
# nginx spread       each worker has some of the clients' connections
# nginx hold         its workers stand still, really, before the next step
# nginx go           they go on, with all that the steps in between have sent
sub step_nginx {
    my ($self, $text) = @_;
    my ($what, $rest) = $text =~ /^(\S+)\s*(.*)$/ or die "nginx what?\n";
    my $pid = $self->{master} = $self->pid || $self->{master};

    if ($what eq 'reload' || $what eq 'hup') {
        my %old = $self->workers($pid);
        $self->{old} = [keys %old];
        kill 'HUP', $pid;
        return if $what eq 'hup';

        $self->pump(sub {
            my %now = $self->workers($pid);
            delete @now{ @{ $self->{old} } };
            return scalar keys %now;
        }) or die "no new worker\n";
        # the old ones take connections for a moment longer
        $self->pump(sub {
            my %now = $self->workers($pid);
            return !grep { ($now{$_} // '') !~ /^$|shutting down/ }
                         @{ $self->{old} };
        }) or die "an old worker does not shut down\n";
        $self->{ready}->();

    } elsif ($what eq 'quit' || $what eq 'term') {
        kill uc $what, $pid;

    } elsif ($what eq 'hold') {
        my @all = keys %{ { $self->workers($pid) } };
        kill 'STOP', @all;
        $self->pump(sub { !grep { proc_state($_) ne 'T' } @all })
            or die "a worker does not stop\n";

    } elsif ($what eq 'go') {
        # forms are written while we wait
        $self->pump(sub {
            return !grep { $_->wants_to_write } values %{ $self->{clients} };
        });
        kill 'CONT', keys %{ { $self->workers($pid) } };

    } elsif ($what eq 'kill-worker') {
        my ($one) = keys %{ { $self->workers($pid) } };
        kill 'KILL', $one;

    } elsif ($what eq 'old-gone') {
        $self->pump(sub {
            my %now = $self->workers($pid);
            return !grep { $now{$_} } @{ $self->{old} };
        }, $rest) or die "an old worker is still there\n";

    } elsif ($what eq 'gone') {
        $self->pump(sub { !alive($pid) }, $rest)
            or die "nginx is still there\n";

    } elsif ($what eq 'workers') {
        my ($want) = $rest =~ /^= (\d+)$/;
        my $got = keys %{ { $self->workers($pid) } };
        die "$got workers\n" if $got != $want;

    } elsif ($what eq 'memory') {
        my $now = $self->memory($pid);
        $self->{memory} = $now if $rest eq 'mark';
        my ($most) = $rest =~ /^< (\d+)$/;
        die 'it has grown by ' . ($now - $self->{memory}) . " KB\n"
            if defined $most && $now - $self->{memory} >= $most;

    } elsif ($what eq 'ready') {
        $self->{ready}->();

    } elsif ($what eq 'spread') {
        my %on = $self->spread;
        die 'connections by worker: ' . join(', ', values %on) . "\n"
            if grep { !$_ } values %on;

    } else {
        die "nginx $what?\n";
    }
}


# A configuration that is tried with nginx -t, and what it says.
# good|bad PLACE [as USER]: DIRECTIVES [~ REGEX]
# PLACE is main, http, server or location, with everything that is needed
# around it; `none` is a location without writeen_redis and writeen_jwt_key,
# `nokey` one without the latter.  REGEX is about what nginx prints.
sub try_config {
    my ($self, $text, $want) = @_;
    my ($place, $user, $lines, $re) =
        $text =~ /^(\w+)(?: as (\w+))?:\s+(.*?)(?:\s+~\s+(.*))?$/
        or die "good|bad PLACE: DIRECTIVES ~ REGEX\n";
    my %at = map { $_ => '' } qw(main http server location);
    my $dir = $self->{temp};
    my $file = "$dir/try.conf";

    my $bare = $place =~ /^(?:none|nokey)$/ ? $place : '';
    $place = 'location' if $bare;
    die "no place $place\n" if !exists $at{$place};
    $at{$place} = $lines;
    return if defined $user && $> != 0;     # nobody else may say so
    $at{main} .= "user $user;" if defined $user;
    $at{http} = "writeen_redis redis://127.0.0.1:6379; $at{http}"
        if $bare ne 'none' && $lines !~ /writeen_redis/;
    $at{server} = "writeen_jwt_key HS256 $self->{vars}{secret}; $at{server}"
        if !$bare && $lines !~ /writeen_jwt_key/;
    $at{location} ||= 'writeen_websocket on;';

    open my $fh, '>', $file or die "$file: $!\n";
    print $fh <<"EOC";
$self->{modules}
$at{main}
pid $dir/try.pid;
error_log stderr;
events { }
http {
    access_log off;
    $at{http}
    server {
        listen unix:$dir/try.sock;
        $at{server}
        location /x { $at{location} }
    }
}
EOC
    close $fh;

    # nginx -t ends without freeing what it read: no leak of ours
    local $ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (),
                                         'detect_leaks=0';
    my $out = `$self->{nginx} -t -e stderr -p $dir -c $file 2>&1`;
    my $good = $? == 0;
    unlink "$dir/try.sock";

    die "nginx -t says:\n$out" if $good != $want;
    die "nginx -t does not say $re, but:\n$out"
        if defined $re && $out !~ /$re/;
}


sub step_good { $_[0]->try_config($_[1], 1) }
sub step_bad { $_[0]->try_config($_[1], 0) }


# refused TOKEN ~ REASON: 401 from the WebSocket and from REST alike, by query
# and by header, and the log and the answer have the reason each time
sub step_refused {
    my ($self, $text) = @_;
    my ($token, $why) = $text =~ /^(\S+)\s+~\s+(.*)$/
        or die "refused TOKEN ~ REASON\n";
    my $conds = '401 success==false error.code=unauthorized';

    for my $door ("handshake token=\"$token\" as=query",
                  "handshake token=\"$token\" as=header",
                  "request GET /api/conversations token=\"$token\"")
    {
        my $from = -s $self->{error_log};
        $self->step("refused-client $door");
        $self->step("refused-client response $conds");
        $self->search_log($self->{error_log}, "~ $why", $from);

        my $told = $self->client('refused-client')
                        ->{reply}{headers}{'www-authenticate'} // '';
        die "WWW-Authenticate: $told\n"
            if $told ne 'Bearer' && $told !~
               /^Bearer error="invalid_token", error_description="[^"]*(?:$why)/;
    }
    $self->client_drop('refused-client');
}


# The log is looked at from `from` on, and a line is waited for: a request's
# reply may be here before it is.
sub search_log {
    my ($self, $file, $text, $from) = @_;
    my ($op, $re) = $text =~ /^(!?~)\s+(.*)$/ or die "log ~ REGEX\n";
    my $until = time + $self->{timeout};
    my @hits;

    while (1) {
        $self->pump(sub { 0 }, 0.02);

        open my $fh, '<', $file or die "$file: $!\n";
        seek $fh, $from, 0 if $from;
        @hits = grep { /$re/ } <$fh>;
        last if @hits || $op eq '!~' || time > $until;
    }

    die "no line like that in $file\n" if $op eq '~' && !@hits;
    die "there is: $hits[0]\n" if $op eq '!~' && @hits;
}


# log ~ REGEX, log !~ REGEX: the error log; access: the access log
sub step_log { $_[0]->search_log($_[0]{error_log}, $_[1]) }
sub step_access { $_[0]->search_log($_[0]{access_log}, $_[1]) }


# metric NAME = N | > N: a figure of /metrics
# metric NAME mark, metric NAME +N: N more than when it was marked (counters go
# on over a reload)
sub step_metric {
    my ($self, $text) = @_;
    my ($name, $op, $want) = $text =~ /^(\S+)\s+(mark|[=>+])\s*(\d*)$/
        or die "metric NAME = N\n";

    $self->client_request('metrics', 'GET /metrics');
    $self->client_response('metrics', '200');
    my $body = $self->{clients}{metrics}{reply}{body};
    $self->client_drop('metrics');

    my ($got) = $body =~ /^\Q$name\E (\S+)$/m or die "no $name\n";

    if ($op eq 'mark') {
        $self->{marks}{$name} = $got;
        return;
    }

    $want += $self->{marks}{$name} // die "$name is not marked\n"
        if $op eq '+';
    die "$name is $got, not $op $want\n"
        if $op eq '>' ? $got <= $want : $got != $want;
}


# healthz STATUS WORD
sub step_healthz {
    my ($self, $text) = @_;
    my ($code, $word) = split ' ', $text;

    $self->client_request('healthz', 'GET /healthz');
    $self->client_response('healthz', "$code status=$word");
    $self->client_drop('healthz');
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
