package Writeen::Client;

# Writeen::Client: one TCP (or TLS) connection to nginx: an HTTP request and
# its reply, and after a 101 the frames of a WebSocket.
#
# Nothing here waits.  The runner selects on `sock` and calls readable(); what
# came is then in `reply` (HTTP) or in `frames`.  Frames are built byte by
# byte, so that a test can break each rule of RFC 6455 by itself.

use strict;
use warnings;

use Compress::Raw::Zlib;
use Digest::SHA qw(sha1_base64);
use Errno qw(EAGAIN EINTR);
use IO::Socket::INET ();
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Socket qw(AF_UNIX IPPROTO_TCP PF_UNSPEC SOCK_STREAM SOL_SOCKET SO_RCVBUF
              SO_SNDTIMEO TCP_NODELAY);
use Time::HiRes qw(sleep time);

my %OP = (cont => 0, text => 1, binary => 2, close => 8, ping => 9,
          pong => 10);
my %OP_NAME = reverse %OP;


# port; tls => 1; rcvbuf (bytes, to be a slow reader).
sub new {
    my ($class, %o) = @_;
    my $self = bless {
        in => '', frames => [], pong => 1, polite => 1, seen => '',
    }, $class;

    $o{tls} ? $self->connect_tls($o{port}) : $self->connect_tcp(%o);

    return $self;
}


sub connect_tcp {
    my ($self, %o) = @_;

    my $sock = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $sock, SOL_SOCKET, SO_RCVBUF, pack 'l', $o{rcvbuf}
        if $o{rcvbuf};

    my $addr = Socket::pack_sockaddr_in($o{port},
                                        Socket::inet_aton('127.0.0.1'));
    connect $sock, $addr or die "connect to port $o{port}: $!";
    setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;
    setsockopt $sock, SOL_SOCKET, SO_SNDTIMEO, pack 'l!l!', 5, 0;

    $self->{sock} = $sock;
}


# openssl's client between us and the server; what it says itself goes nowhere.
sub connect_tls {
    my ($self, $port) = @_;

    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!";

    my $pid = fork;
    die "fork: $!" if !defined $pid;
    if ($pid == 0) {
        open STDIN, '<&', $theirs;
        open STDOUT, '>&', $theirs;
        open STDERR, '>', '/dev/null';
        exec { 'openssl' } 'openssl', 's_client', '-quiet', '-connect',
                           "127.0.0.1:$port" or POSIX::_exit(127);
    }

    close $theirs;
    $self->{sock} = $ours;
    $self->{openssl} = $pid;
}


sub drop {
    my ($self) = @_;

    my $sock = delete $self->{sock} or return;
    close $sock;

    if (my $pid = delete $self->{openssl}) {
        local $?;
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}


# Write all of it.  A server that closed already is not an error here: what
# it said before is what the test looks at.
sub write {
    my ($self, $bytes) = @_;
    my $until = time + 20;

    if ($self->{lazy}) {
        $self->{out} .= $bytes;
        return;
    }

    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes && $self->{sock}) {
        my $n = syswrite $self->{sock}, $bytes;

        if (defined $n) {
            substr($bytes, 0, $n) = '';
            next;
        }

        last if !($!{EAGAIN} || $!{EINTR}) || time > $until;
        sleep 0.002;
    }
}


# Lazy: what nginx reads only after something that we do is kept, and written
# while we wait.
sub wants_to_write {
    my ($self) = @_;

    return $self->{sock} && length($self->{out} // '');
}


sub writable {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $n = syswrite $self->{sock}, $self->{out}, 65536;

    if (defined $n) {
        substr($self->{out}, 0, $n) = '';
    } elsif (!($!{EAGAIN} || $!{EINTR})) {
        $self->{out} = '';
    }
}


# The same, a byte at a time, each in its own segment.
sub write_slowly {
    my ($self, $bytes) = @_;

    local $self->{lazy} = 0;
    for my $byte (split //, $bytes) {
        $self->write($byte);
        sleep 0.0005;
    }
}


# Called when there is something to read.
sub readable {
    my ($self) = @_;

    return if !$self->{sock};

    my $n = sysread $self->{sock}, $self->{in}, 65536, length $self->{in};

    return if !defined $n && ($!{EAGAIN} || $!{EINTR});
    if (!$n) {
        $self->{eof} = 1;
        $self->drop;
    }

    $self->parse;
}


sub parse {
    my ($self) = @_;

    $self->parse_reply if !$self->{ws};
    $self->parse_frames if $self->{ws};
}


# -- HTTP --

# headers: list of "Name: value".
sub request {
    my ($self, $method, $target, $version, $headers, $body, $more, $late) = @_;
    my $head = "$method $target HTTP/$version\r\n"
               . join '', map { "$_\r\n" } @$headers;
    my $rest = "\r\n" . ($body // '') . ($more // '');

    delete @$self{qw(reply continued)};
    $self->{head_only} = $method eq 'HEAD';
    $self->{rest} = $rest if $late;
    $self->write($late ? $head : $head . $rest);
}


sub parse_reply {
    my ($self) = @_;

    return if $self->{reply};
    return if $self->{in} !~ /\r\n\r\n/;

    my $head = substr $self->{in}, 0, $-[0];
    my $rest = substr $self->{in}, $+[0];
    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})} or return;

    my %header;
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)/ or next;
        $name = lc $name;
        $header{$name} = defined $header{$name} ? "$header{$name}, $value"
                                                : $value;
    }

    # go on with the body (Expect); the answer is still to come
    if ($status == 100) {
        $self->{in} = $rest;
        $self->{continued}++;
        return $self->parse_reply;
    }

    my %reply = (status => $status, headers => \%header, head => $head);

    if ($status == 101) {
        $self->{in} = $rest;
        $self->{reply} = \%reply;
        $self->{ws} = 1;
        $self->{deflate} = ($header{'sec-websocket-extensions'} // '')
                           =~ /^permessage-deflate\b/;
        $self->{alone} = ($header{'sec-websocket-extensions'} // '')
                         =~ /server_no_context_takeover/;
        delete @$self{qw(inflater packed)};
        return;
    }

    if ($self->{head_only} || $status == 204 || $status == 304) {
        $reply{body} = '';
        $self->{in} = $rest;

    } elsif (($header{'transfer-encoding'} // '') eq 'chunked') {
        my $body = '';
        while (1) {
            $rest =~ /\G([0-9a-fA-F]+)\r\n/gc or return;
            my $n = hex $1;
            return if length($rest) < pos($rest) + $n + 2;
            $body .= substr $rest, pos($rest), $n;
            pos($rest) += $n + 2;
            last if $n == 0;
        }
        $reply{body} = $body;
        $self->{in} = substr $rest, pos $rest;

    } elsif (defined $header{'content-length'}) {
        my $n = $header{'content-length'};
        return if length $rest < $n;
        $reply{body} = substr $rest, 0, $n;
        $self->{in} = substr $rest, $n;

    } else {
        return if !$self->{eof};
        $reply{body} = $rest;
    }

    $self->{reply} = \%reply;
}


sub new_key {
    return encode_base64(join('', map { chr int rand 256 } 1 .. 16), '');
}


sub accept_of {
    my ($key) = @_;

    return sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
}


# -- frames --

# fin, rsv (0-7), op (name or number), mask (0: none), len7/len16/len64: how
# the length is written when not in the shortest way, lie: a length that is
# not the payload's.
sub frame {
    my (%o) = @_;
    my $op = exists $OP{ $o{op} } ? $OP{ $o{op} } : $o{op};
    my $payload = $o{payload} // '';
    my $n = $o{lie} // length $payload;
    my $fin = $o{fin} // 1;
    my $mask = $o{mask} // 1;

    my $bytes = chr(($fin ? 0x80 : 0) | (($o{rsv} // 0) << 4) | $op);
    my $bit = $mask ? 0x80 : 0;

    if ($o{len64} || (!$o{len16} && $n > 65535)) {
        $bytes .= pack 'C Q>', $bit | 127, $n;

    } elsif ($o{len16} || $n > 125) {
        $bytes .= pack 'C n', $bit | 126, $n;

    } else {
        $bytes .= chr($bit | $n);
    }

    return $bytes . $payload if !$mask;

    my $key = join '', map { chr int rand 256 } 1 .. 4;
    my $pad = $key x (int(length($payload) / 4) + 1);

    return $bytes . $key . ($payload ^ substr $pad, 0, length $payload);
}


# -- permessage-deflate (RFC 7692); what we send takes no context over --

sub deflate {
    my ($text) = @_;
    my ($z) = Compress::Raw::Zlib::Deflate->new(-WindowBits => -15,
                                                -AppendOutput => 1);
    my $out = '';

    $z->deflate($text, $out);
    $z->flush($out, Z_SYNC_FLUSH);
    return substr $out, 0, -4;
}


# With the window kept, unless it was agreed that there is none.  undef: it is
# no such thing
sub inflate {
    my ($self, $bytes) = @_;
    my $z = $self->{alone} ? undef : $self->{inflater};
    my $out = '';

    ($z) = Compress::Raw::Zlib::Inflate->new(-WindowBits => -15,
                                             -AppendOutput => 1) if !$z;
    $self->{inflater} = $z;
    my $rc = $z->inflate($bytes .= "\0\0\xff\xff", $out);

    return $rc == Z_OK || $rc == Z_BUF_ERROR ? $out : undef;
}


sub close_payload {
    my ($code, $reason) = @_;

    return defined $code ? pack('n', $code) . ($reason // '') : '';
}


sub parse_frames {
    my ($self) = @_;

    while (length $self->{in} >= 2) {
        my ($b0, $b1) = unpack 'C C', $self->{in};
        my ($n, $head) = ($b1 & 0x7f, 2);

        if ($n == 126) {
            return if length $self->{in} < 4;
            ($n, $head) = (unpack('x2 n', $self->{in}), 4);

        } elsif ($n == 127) {
            return if length $self->{in} < 10;
            ($n, $head) = (unpack('x2 Q>', $self->{in}), 10);
        }

        return if length $self->{in} < $head + $n;

        my $payload = substr $self->{in}, $head, $n;
        substr($self->{in}, 0, $head + $n) = '';

        if (($b0 & 0x70) == 0x40 && $self->{deflate}
            && defined(my $plain = $self->inflate($payload)))
        {
            $b0 &= ~0x40;
            $self->{packed} = $n;
            $payload = $plain;
            $self->{compressed}++;
        }

        my $f = {
            op => $OP_NAME{ $b0 & 15 } // ($b0 & 15), payload => $payload,
            fin => $b0 >> 7, rsv => $b0 >> 4 & 7, masked => $b1 >> 7,
        };

        # what a server must not send is told with the frame
        $f->{op} = sprintf 'illegal(%02x %02x)', $b0, $b1
            if !$f->{fin} || $f->{rsv} || $f->{masked};

        if ($f->{op} eq 'ping' && $self->{pong}) {
            $self->write(frame(op => 'pong', payload => $payload));
            next;
        }

        if ($f->{op} eq 'close') {
            $f->{code} = $n ? unpack 'n', $payload : 1005;
            $f->{reason} = $n > 2 ? substr $payload, 2 : '';

            $self->write(frame(op => 'close',
                               payload => substr $payload, 0, 2))
                if $self->{polite} && !$self->{close_sent};
            $self->{close_sent} = 1;
        }

        $self->{seen} .= "$payload\n" if $f->{op} eq 'text';

        push @{ $self->{frames} }, $f;
    }
}

1;
