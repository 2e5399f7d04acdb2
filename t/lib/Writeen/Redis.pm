package Writeen::Redis;

# Writeen::Redis: a private Redis server and a small client of it.
#
# The server keeps an append-only file, so that killing and starting it again
# loses nothing that it acknowledged, as in production.  The client speaks
# RESP2: a reply is a string, a number, undef, an array reference, or (an
# error) a Writeen::Redis::Error.

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX ();
use Time::HiRes qw(sleep time);


# name, dir, library (path of writeen.lua) and port; or unix => 1, and
# password, db.
sub new {
    my ($class, %o) = @_;
    my $self = bless { db => 0, %o }, $class;

    mkdir $self->{dir};
    $self->{path} = "$self->{dir}/redis.sock" if $self->{unix};

    return $self;
}


# As writeen_redis wants it.
sub url {
    my ($self) = @_;
    my $db = $self->{db};
    my $password = $self->{password};

    $password =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge
        if defined $password;

    if ($self->{unix}) {
        my @args = (($db ? "db=$db" : ()),
                    (defined $password ? "password=$password" : ()));
        return "unix:$self->{path}" . (@args ? '?' . join('&', @args) : '');
    }

    my $cred = defined $password ? ":$password@" : '';

    return "redis://${cred}127.0.0.1:$self->{port}/$db";
}


sub start {
    my ($self) = @_;

    die "redis $self->{name} runs already" if $self->{pid};

    my @args = (
        '--bind', '127.0.0.1', '--port', $self->{port} || 0,
        '--dir', $self->{dir}, '--logfile', "$self->{dir}/redis.log",
        '--save', '', '--appendonly', 'yes', '--appendfsync', 'no',
        '--daemonize', 'no', '--databases', 16,
    );
    push @args, '--unixsocket', $self->{path} if $self->{unix};
    push @args, '--requirepass', $self->{password}
        if defined $self->{password};

    my $pid = fork;
    die "fork: $!" if !defined $pid;
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        # ends with the test, however that one ends
        exec { 'setpriv' } 'setpriv', '--pdeathsig', 'KILL', 'redis-server',
                           @args or POSIX::_exit(127);
    }
    $self->{pid} = $pid;

    my $until = time + 30;
    while (1) {
        my $pong = eval { $self->cmd('PING') };
        last if defined $pong && !ref $pong && $pong eq 'PONG';
        die "redis $self->{name} does not start: see $self->{dir}/redis.log"
            if time > $until;
        sleep 0.02;
    }

    $self->load if !$self->{loaded};
}


# The functions; what FLUSHALL does not take away.
sub load {
    my ($self) = @_;

    open my $fh, '<:raw', $self->{library} or die "$self->{library}: $!";
    my $text = do { local $/; <$fh> };
    my $name = $self->cmd('FUNCTION', 'LOAD', 'REPLACE', $text);
    die 'FUNCTION LOAD: ' . (ref $name ? $$name : $name)
        if ref $name || $name ne 'writeen';
    $self->{loaded} = 1;
}


# End it politely, or as a crash would.
sub stop { $_[0]->end('TERM') }
sub kill9 { $_[0]->end('KILL') }


sub end {
    my ($self, $signal) = @_;

    my $pid = delete $self->{pid} or return;
    delete $self->{sock};

    # killed while it is paused, it answers nothing more
    kill 'CONT', $pid if $signal ne 'KILL';
    kill $signal, $pid;
    local $?;
    waitpid $pid, 0;
}


# Hang: it accepts, but does not answer.
sub pause { kill 'STOP', $_[0]{pid} }
sub resume { kill 'CONT', $_[0]{pid} }


sub DESTROY {
    my ($self) = @_;

    # a forked child must not take its parent's server along
    $self->end('TERM') if defined $self->{owner} && $self->{owner} == $$;
}


# A new connection, logged in.
sub open_socket {
    my ($self) = @_;

    my $sock = $self->{unix}
        ? IO::Socket::UNIX->new(Peer => $self->{path})
        : IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}",
                                Timeout => 20);
    die "redis $self->{name}: $!" if !$sock;

    my $conn = { sock => $sock, in => '' };

    for my $cmd ((defined $self->{password}
                  ? ['AUTH', $self->{password}] : ()),
                 ($self->{db} ? ['SELECT', $self->{db}] : ()))
    {
        my $reply = ask($conn, @$cmd);
        die "redis $self->{name}: $$reply" if ref $reply;
    }

    return $conn;
}


sub cmd {
    my ($self, @args) = @_;

    $self->{sock} ||= $self->open_socket;
    my $reply = eval { ask($self->{sock}, @args) };
    if ($@) {
        delete $self->{sock};
        die $@;
    }

    return $reply;
}


sub encode {
    my (@args) = @_;

    return join '', '*', scalar @args, "\r\n",
                    map { '$' . length($_) . "\r\n$_\r\n" } @args;
}


sub ask {
    my ($conn, @args) = @_;

    $conn->{sock}->syswrite(encode(@args)) or die "redis: write: $!";

    my $until = time + 20;
    while (1) {
        my ($done, $value) = parse(\$conn->{in});
        return $value if $done;

        IO::Select->new($conn->{sock})->can_read($until - time)
            or die "redis: no answer to $args[0]";
        $conn->{sock}->sysread($conn->{in}, 65536, length $conn->{in})
            or die 'redis: connection closed';
    }
}


# Take one reply from the front of $$buf.  (1, value), or (0) when it is not
# all there.
sub parse {
    my ($buf) = @_;
    my $pos = 0;

    my @got = parse_at($buf, \$pos);
    substr($$buf, 0, $pos) = '' if $got[0];

    return @got;
}


sub parse_at {
    my ($buf, $pos) = @_;

    my $end = index $$buf, "\r\n", $$pos;
    return 0 if $end < 0;

    my $type = substr $$buf, $$pos, 1;
    my $text = substr $$buf, $$pos + 1, $end - $$pos - 1;
    $$pos = $end + 2;

    return 1, $text if $type eq '+';
    return 1, $text + 0 if $type eq ':';
    return 1, bless \$text, 'Writeen::Redis::Error' if $type eq '-';
    return 1, undef if $text < 0;

    if ($type eq '$') {
        return 0 if length($$buf) < $$pos + $text + 2;
        my $value = substr $$buf, $$pos, $text;
        $$pos += $text + 2;
        return 1, $value;
    }

    my @list;
    for (1 .. $text) {
        my ($done, $value) = parse_at($buf, $pos);
        return 0 if !$done;
        push @list, $value;
    }

    return 1, \@list;
}

1;
