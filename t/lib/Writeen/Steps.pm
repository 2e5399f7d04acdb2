package Writeen::Steps;

# Writeen::Steps: runs the `--- steps` of a test, one step a line.
#
# The steps are described in t/README.md.  Everything that a step waits for is
# waited for in one place, pump(), which reads from all clients and answers
# nginx's calls in the worker's stead, so that a script needs neither threads
# nor sleeps.  The steps themselves are in ClientSteps, WorldSteps and FileSteps.

use strict;
use warnings;

use IO::Select ();
use JSON::PP ();
use POSIX ();
use Test::More ();
use Text::ParseWords ();
use Time::HiRes qw(sleep time);

use Writeen::Client;
use Writeen::Redis;

# of bytes, as they are on the wire and in a test file
our $Json = JSON::PP->new->utf8->canonical->allow_nonref;
my $MAX_FAILURES = 3;       # in one block, then the rest of it is left out

# Events that come when they come; dropped unless a step names them.
our %CASUAL = map { $_ => 1 } qw(user_presence token_expiring);

my %GLOBAL = map { $_ => 1 }
    qw(room user emit post redis worker call calls nginx log access sleep
       token set until server metric good bad refused crowd all
       crowd-open crowd-upload applied healthz spool spooled write rename);

# Steps that only do something; all others are tests and counted as such.
my %ACTION = map { $_ => 1 }
    qw(room user emit post worker sleep token set send text frame bytes
       handshake request unfinished close drop pause resume server crowd ignore
       applied more crowd-upload spool write rename);


# servers: hash of Writeen::Redis by name; bus: names in the order of
# writeen_redis; tokens: Writeen::Token; port, tls_port, pid_file, error_log,
# access_log; nginx (binary), modules (load_module lines), temp (a folder);
# vars; timeout: seconds an expected thing may take; a failure takes as long, and
# nothing else does, so that a machine that others use is no failure.
sub new {
    my ($class, %o) = @_;

    return bless {
        shards => 16, timeout => 20, bus => ['main'], %o,
        clients => {}, rules => [], calls => [], timers => [],
        streams => { 'wrt:rpc' => '0-0' },
        vars => { %{ $o{vars} || {} } },
    }, $class;
}


# A room of an even, or of an odd shard.
sub room_of {
    my ($self, $odd) = @_;
    my $n = 0;

    $n++ while $self->shard("room$n") % 2 != $odd;

    return "room$n";
}


# Run a script.  Returns the number of steps that failed.
sub run {
    my ($self, $name, $text) = @_;
    my ($failed, $n) = (0, 0);

    $text =~ s/\\\n\s*//g;

    for my $line (split /\n/, $text) {
        $n++;
        $line =~ s/^\s+|\s+$//g;
        next if $line eq '' || $line =~ /^#/;

        my $what = "$name, step $n: " . substr $line, 0, 150;
        my ($kind, $times, $rest) = ('', 1, $line);
        ($times, $rest) = ($1, $2) if $line =~ /^repeat (\d+) (.*)/;

        my $err;
        for my $i (1 .. $times) {
            $self->{vars}{i} = $i;
            $kind = eval { $self->step($rest) } // '';
            $err = $@;
            last if $err;
            # who is to be a slow reader says so with `pause`
            $self->pump(sub { 0 }, 0) if $times > 1;
        }

        if ($err) {
            Test::More::fail($what);
            Test::More::diag($err);
            last if ++$failed >= $MAX_FAILURES;

        } elsif (!$ACTION{$kind}) {
            Test::More::pass($what);
        }
    }

    return $failed;
}


# At the end of a script nobody may have got what no step asked for.
sub leftovers {
    my ($self) = @_;
    my @left;

    eval { $self->pump(sub { 0 }, 0.03) };

    for my $name (sort keys %{ $self->{clients} }) {
        my $c = $self->{clients}{$name};
        next if $c->{paused} || $c->{ignored};
        push @left, grep { $_ ne '' } $self->unasked($name);
        push @left, map { "$name: " . show($_) }
                        grep { !$self->casual($_)
                               && !($c->{acks} && is_ack($_)) }
                             @{ $c->{frames} };
    }

    return @left;
}


# Let go of everything that the script held.
sub finish {
    my ($self) = @_;

    $_->drop for values %{ $self->{clients} };
    $self->{clients} = {};
    delete $self->{listener};
    $self->{servers}{$_}->resume
        for grep { delete $self->{servers}{$_}{paused} }
                 keys %{ $self->{servers} };
}


# One step.  Returns its verb; dies with the reason when it fails.
sub step {
    my ($self, $line) = @_;

    $line = $self->expand($line);

    my ($word, $rest) = $line =~ /^(\S+)\s*(.*)$/s or die "empty step\n";

    if ($word =~ /^redis\@(\w+)$/) {
        $self->step_redis($rest, $1);
        return 'redis';
    }

    if ($GLOBAL{$word}) {
        my $method = 'step_' . $word =~ tr/-/_/r;
        $self->$method($rest);
        return $word;
    }

    my ($verb, $args) = $rest =~ /^([\w-]+)\s*(.*)$/s
        or die "no such step: $word\n";
    my $method = $self->can('client_' . $verb =~ tr/-/_/r)
        or die "no such step: $word $verb\n";

    $self->$method($word, $args);

    return $verb;
}


sub expand {
    my ($self, $line) = @_;
    my %key = (
        conv => 'wrt:{%d}:conv:%s', log => 'wrt:{%d}:log:%s',
        ingest => 'wrt:{%d}:ingest', awake => 'wrt:{%d}:awake', chan => 'room',
        once => 'wrt:{%d}:once:%s',
    );

    $self->{vars}{now} = int time;
    $self->{vars}{even} //= $self->room_of(0);
    $self->{vars}{odd} //= $self->room_of(1);

    $line =~ s{\$([a-z]\w*)}
              { $self->{vars}{$1} // die "\$$1 is not set\n" }ge;

    $line =~ s/%shard\(([^()]+)\)/$self->shard($1)/ge;
    $line =~ s{%(conv|log|ingest|awake|chan|once)\(([^(),]+)((?:,[^(),]+)*)\)}
              {
                  my ($what, $id, $more) = ($1, $2, $3);
                  $what eq 'chan'
                      ? $self->channel($id)
                      : $key{$what} =~ s/%d/$self->shard($id)/er
                                    =~ s/%s/$id/r
                        . $more =~ tr/,/:/r
              }ge;

    return $line;
}


# CRC16 as Redis Cluster hashes keys, modulo the shards.
sub shard {
    my ($self, $id) = @_;
    my $crc = 0;

    for my $byte (unpack 'C*', $id) {
        $crc ^= $byte << 8;
        for (1 .. 8) {
            $crc = $crc & 0x8000 ? ($crc << 1 ^ 0x1021) & 0xffff
                                 : $crc << 1 & 0xffff;
        }
    }

    return $crc % $self->{shards};
}


sub hub { return $_[0]->{servers}{ $_[0]->{bus}[0] } }


# The server of a conversation's shard.
sub home {
    my ($self, $id) = @_;
    my @bus = @{ $self->{bus} };

    return $self->{servers}{ $bus[ $self->shard($id) % @bus ] };
}


sub channel {
    my ($self, $id) = @_;
    my $db = $self->hub->{db};

    return 'wrt' . ($db ? "\@$db" : '')
           . ':{' . $self->shard($id) . "}:room:$id";
}


# -- waiting --

# Read from everybody until $done says so or the time is over.  What is no
# client's (processes, files) wakes nobody: $done is asked ten times a second.
sub pump {
    my ($self, $done, $seconds) = @_;
    my $until = time + ($seconds // $self->{timeout});
    my $looked = 0;

    while (1) {
        return 1 if $done->();

        my $left = $until - time;
        return 0 if $left <= 0 && $looked++;

        for my $timer (@{ $self->{timers} }) {
            my $wait = $timer->[0] - time;
            $left = $wait if $wait < $left;
        }
        $left = 0.1 if $left > 0.1;
        $left = 0 if $left < 0;

        my %by_fd;
        my $select = IO::Select->new;
        for my $c (values %{ $self->{clients} }) {
            next if !$c->{sock} || $c->{paused};
            $select->add($c->{sock});
            $by_fd{ fileno $c->{sock} } = $c;
        }
        my $listener = $self->{listener};
        $select->add($listener->{sock}) if $listener;

        my $writers = IO::Select->new(map { $_->{sock} }
                                      grep { $_->wants_to_write }
                                           values %{ $self->{clients} });

        if (!$select->count && !$writers->count) {
            sleep($left > 0.01 ? 0.01 : $left);

        } else {
            my ($readable, $writable) =
                IO::Select::select($select, $writers, undef, $left);

            for my $sock (@{ $writable // [] }) {
                my ($c) = grep { $_->{sock} && $_->{sock} == $sock }
                               values %{ $self->{clients} };
                $c->writable if $c;
            }
            for my $sock (@{ $readable // [] }) {
                if ($listener && $sock == $listener->{sock}) {
                    $self->read_calls;
                } elsif (my $c = $by_fd{ fileno $sock }) {
                    $c->readable;
                }
            }
        }

        $self->run_timers;
    }
}


sub run_timers {
    my ($self) = @_;
    my $now = time;

    my @due = grep { $_->[0] <= $now } @{ $self->{timers} };
    $self->{timers} = [ grep { $_->[0] > $now } @{ $self->{timers} } ];
    $_->[1]->() for @due;
}


# -- conditions --

# path=text path==json path~regex path!=text path=@variable path!
# A value with blanks stands in quotes.
sub conditions {
    my ($text) = @_;
    my @list;

    while ($text =~ /\G\s*([\w.\-:]+?)(==|=\@|!=|!~|=|~|!(?=\s|$))
                     ("(?:[^"\\]|\\.)*"|[^\s]*)/gcx)
    {
        my ($path, $op, $value) = ($1, $2, $3);
        if ($value =~ /^"(.*)"$/s && $op ne '==') {
            $value = $op =~ /~/ ? $1 : unescape($1);
        }
        push @list, [$path, $op, $value];
    }

    my $rest = substr $text, pos($text) // 0;
    die "conditions not understood: $rest\n" if $rest =~ /\S/;

    return @list;
}


sub unescape {
    my ($text) = @_;

    $text =~ s{\\(n|r|t|\\|"|x[0-9a-fA-F]{2})}
              { my $e = $1;
                $e eq 'n' ? "\n" : $e eq 'r' ? "\r" : $e eq 't' ? "\t"
                : $e =~ /^x(..)/ ? chr hex $1 : $e }ge;

    return $text;
}


# The member at a path, as a list of one; empty when there is none.
sub lookup {
    my ($data, $path) = @_;

    for my $part (split /\./, $path) {
        if (ref $data eq 'HASH' && exists $data->{$part}) {
            $data = $data->{$part};

        } elsif (ref $data eq 'ARRAY' && $part =~ /^\d+$/
                 && $part < @$data)
        {
            $data = $data->[$part];

        } elsif (ref $data eq 'ARRAY' && $part eq 'length') {
            $data = scalar @$data;

        } else {
            return;
        }
    }

    return $data;
}


sub plain {
    my ($value) = @_;

    return 'null' if !defined $value;
    return $value ? 'true' : 'false' if JSON::PP::is_bool($value);
    return $Json->encode($value) if ref $value;

    my $bytes = "$value";
    utf8::encode($bytes) if utf8::is_utf8($bytes);

    return $bytes;
}


# Check conditions against what $get finds at a path.
sub check {
    my ($self, $get, $text, $shown) = @_;

    for my $cond (conditions($text)) {
        my ($path, $op, $want) = @$cond;
        my @got = $get->($path);

        if ($op eq '!') {
            die "$path is there\n  in $shown\n" if @got;
            next;
        }

        die "$path is missing\n  in $shown\n" if !@got;
        my $got = plain($got[0]);

        if ($op eq '=@') {
            $self->{vars}{$want} = $got;
            next;
        }

        my $good = $op eq '=' ? $got eq $want
                 : $op eq '!=' ? $got ne $want
                 : $op eq '~' ? scalar $got =~ /$want/
                 : $op eq '!~' ? $got !~ /$want/
                 : $Json->encode($got[0]) eq
                   eval { $Json->encode($Json->decode(
                       $want =~ s/\\x20/ /gr)) };

        die "$path is $got, not $op $want\n  in $shown\n" if !$good;
    }
}


require Writeen::ClientSteps;
require Writeen::WorldSteps;
require Writeen::NginxSteps;
require Writeen::FileSteps;

1;
