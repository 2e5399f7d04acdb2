package Writeen::Steps;

# Writeen::ClientSteps: the steps of named clients (`a send ...`): handshakes
# and requests, events, single frames.  A part of Writeen::Steps.

use strict;
use warnings;



use Writeen::Client;

our ($Json, %CASUAL);


sub client {
    my ($self, $name) = @_;

    return $self->{clients}{$name} || die "$name is not connected\n";
}


# name=value words before the first that is none; values may be quoted.
sub options {
    my ($text) = @_;
    my (%o, @headers);

    while ($text =~ /\G\s*([a-z]\w*)=("(?:[^"\\]|\\.)*"|\S*)/gc) {
        my ($name, $value) = ($1, $2);
        $value = unescape($1) if $value =~ /^"(.*)"$/s;
        if ($name eq 'header') {
            push @headers, $value;
        } else {
            $o{$name} = $value;
        }
        if ($name eq 'body' && $value =~ /^[{\[]/) {
            # JSON is the rest of the line
            $o{body} .= substr $text, pos $text;
            $text = '';
            last;
        }
    }

    my $rest = substr $text, pos($text) // 0;
    die "options not understood: $rest\n" if $rest =~ /\S/;
    $o{headers} = \@headers;

    return %o;
}


# A token: a user id stands for a good one of his; raw:TEXT is no token.
sub token {
    my ($self, $spec) = @_;

    return $1 if $spec =~ /^raw:(.*)$/s;
    return $spec if $spec !~ /^[\w-]+$/;
    return $self->{tokens}->mint(claims => {
        sub => $spec, name => "Name of $spec",
    });
}


sub target {
    my ($path, @query) = @_;

    return @query ? $path . ($path =~ /\?/ ? '&' : '?') . join('&', @query)
                  : $path;
}


# After a reply there must be nothing until the next request: what comes by
# itself would be taken for the answer to another one.  Returns what came.
sub unasked {
    my ($self, $name) = @_;
    my $c = $self->{clients}{$name};

    return '' if $c->{ws} || !$c->{reply};

    $self->pump(sub { $c->{eof} || length $c->{in} }, 0.01);

    return length $c->{in} ? "$name got what it did not ask for: $c->{in}\n"
                           : '';
}


sub open_client {
    my ($self, $name, %o) = @_;

    if ($self->{clients}{$name}) {
        my $unasked = $self->unasked($name);
        (delete $self->{clients}{$name})->drop;
        die "before this, $unasked" if $unasked;
    }

    my $c = Writeen::Client->new(
        port => $o{tls} ? $self->{tls_port} : $self->{port},
        tls => $o{tls}, rcvbuf => $o{rcvbuf});
    $c->{pong} = 0 if $o{nopong};
    $c->{polite} = 0 if $o{noclose};

    return $self->{clients}{$name} = $c;
}


sub client_handshake {
    my ($self, $name, $args) = @_;
    my %o = options($args);
    my $c = $self->open_client($name, %o);

    my $as = $o{as} // 'query';
    my $token = defined $o{token} ? $self->token($o{token}) : undef;
    my $protocol = $o{protocol};
    my (@query, @headers);

    push @query, "token=$token" if defined $token && $as eq 'query';
    push @query, 'resume=1' if $o{resume};
    push @query, $o{query} if defined $o{query};

    if (defined $token && $as eq 'protocol') {
        $protocol = join ', ', $protocol // 'writeen.v1', "bearer.$token";
    }

    $c->{key} = $o{key} // Writeen::Client::new_key();

    for ([Host => $o{host} // 'localhost'],
         [Upgrade => $o{upgrade} // 'websocket'],
         [Connection => $o{connection} // 'Upgrade'],
         ['Sec-WebSocket-Version' => $o{wsversion} // 13],
         ['Sec-WebSocket-Key' => $c->{key}],
         ['Sec-WebSocket-Protocol' => $protocol // '-'],
         ['Origin' => $o{origin} // '-'],
         ['Content-Length' => defined $o{body} ? length $o{body} : '-'],
         ['Authorization' => defined $token && $as eq 'header'
                             ? "Bearer $token" : '-'])
    {
        push @headers, "$_->[0]: $_->[1]" if $_->[1] ne '-';
    }

    $c->request($o{method} // 'GET', target($o{path} // '/ws', @query),
                $o{version} // '1.1', [@headers, @{ $o{headers} }],
                $o{body}, pack('H*', $o{early} // ''), $o{late});
}


# A good handshake of a user, up to his `connected`.
sub client_connect {
    my ($self, $name, $args) = @_;
    my ($user, $rest) = $args =~ /^(\S+)\s*(.*)$/s or die "connect who?\n";

    $self->client_handshake($name, "token=$user $rest");
    $self->client_response($name, '101');
    $self->client_expect($name, 'connected');
}


sub client_request {
    my ($self, $name, $args) = @_;
    my ($method, $path, $rest) = $args =~ /^(\S+)\s+(\S+)\s*(.*)$/s
        or die "request METHOD PATH\n";
    my %o = options($rest);

    my $c = $o{same} ? $self->client($name) : $self->open_client($name, %o);
    my @headers = ('Host: ' . ($o{host} // 'localhost'), @{ $o{headers} });

    push @headers, 'Authorization: Bearer ' . $self->token($o{token})
        if defined $o{token};
    push @headers, "Origin: $o{origin}" if defined $o{origin};
    push @headers, 'Content-Type: ' . ($o{type} // 'application/json')
        if defined $o{body} && ($o{type} // '') ne '-';
    push @headers, 'Connection: close' if !$o{same} && !$o{keep};

    if (defined $o{size}) {
        # so many bytes of JSON, told by Content-Length
        my $head = $o{body} // '{"type":"text","content":{"text":"';
        $o{body} = $head . 'a' x ($o{size} - length($head) - 3) . '"}}';
        push @headers, 'Content-Type: application/json';
    }
    if (defined $o{form}) {
        $o{body} = $c->{form} = form($o{form});
        push @headers, 'Content-Type: '
                       . ($o{type} // 'multipart/form-data; boundary=b0undary')
            if ($o{type} // '') ne '-';
    }
    if ($o{chunked}) {
        push @headers, 'Transfer-Encoding: chunked';
        $o{body} = chunked($o{body}, $o{chunked} > 1 ? $o{chunked}
                                                     : length $o{body});

    } elsif (defined $o{body} || defined $o{length}) {
        push @headers, 'Content-Length: ' . ($o{length} // length $o{body});
    }

    $c->{lazy} = defined $o{form};

    if (defined $o{part}) {
        $c->{rest} = substr $o{body}, $o{part};
        $o{body} = substr $o{body}, 0, $o{part};
    }

    $c->request($method, $path, $o{version} // '1.1', \@headers, $o{body});
}


# A form with a file in it, so many bytes in all, no two pieces of it alike.
sub form {
    my ($bytes) = @_;
    my $head = qq(--b0undary\r\nContent-Disposition: form-data; name="file"; )
               . qq(filename="a.txt"\r\n\r\n);
    my $tail = "\r\n--b0undary--\r\n";
    my $n = $bytes - length($head) - length $tail;

    die "a form has more than $bytes bytes\n" if $n < 0;

    my $file = join '', map { sprintf '%015d ', $_ } 0 .. $n / 16;

    return $head . substr($file, 0, $n) . $tail;
}


# In chunks of so many bytes.
sub chunked {
    my ($body, $size) = @_;
    my $out = '';

    for (my $at = 0; $at < length $body; $at += $size) {
        my $piece = substr $body, $at, $size;
        $out .= sprintf "%x\r\n%s\r\n", length $piece, $piece;
    }

    return "${out}0\r\n\r\n";
}


# more [N] [slow=1]: the next N bytes (all) of the body that part= kept back, or
# of the end of a handshake with late=1
sub client_more {
    my ($self, $name, $args) = @_;
    my $slow = $args =~ s/\s*slow=1//;
    my $c = $self->client($name);
    my $n = $args =~ /^(\d+)$/ ? $1 : length $c->{rest};
    my $bytes = substr $c->{rest}, 0, $n, '';

    $slow ? $c->write_slowly($bytes) : $c->write($bytes);
}


# continue: nginx asks for the body (100)
sub client_continue {
    my ($self, $name) = @_;
    my $c = $self->client($name);

    $self->pump(sub { $c->{continued} || $c->{reply} || $c->{eof} });
    die "it does not\n" if !$c->{continued};
}


# response STATUS conditions: header.NAME, body, or a path into the JSON body.
# STATUS may be several: 400|404.
sub client_response {
    my ($self, $name, $args) = @_;
    my ($status, $conds) = $args =~ /^(\d+(?:\|\d+)*)\s*(.*)$/s
        or die "response which?\n";
    my $within = $conds =~ s/^within=([\d.]+)\s*// ? $1 : undef;
    my $c = $self->client($name);

    $self->pump(sub { $c->{reply} || $c->{eof} }, $within);
    $c->parse if $c->{eof} && !$c->{reply};

    my $reply = $c->{reply}
        or die $c->{eof} ? "closed without a reply: \"$c->{in}\"\n"
                         : "no reply\n";
    my $shown = $reply->{head} . "\n\n" . ($reply->{body} // '');
    $shown =~ s/^/    /gm;

    die "status $reply->{status}, not $status\n$shown\n"
        if $reply->{status} !~ /^(?:$status)$/;

    my $json = eval { $Json->decode($reply->{body}) };

    $self->check(sub {
        my ($path) = @_;
        if ($path =~ /^header\.(.*)/) {
            return exists $reply->{headers}{lc $1}
                   ? $reply->{headers}{lc $1} : ();
        }
        return $reply->{body} if $path eq 'body';
        return $c->{continued} // 0 if $path eq 'continued';
        return lookup($json, $path);
    }, $conds, "\n$shown");

    return if $reply->{status} != 101;

    # every upgrade is checked whole, RFC 6455 4.2.2
    my $h = $reply->{headers};
    my $accept = Writeen::Client::accept_of($c->{key});

    die "Sec-WebSocket-Accept is wrong\n$shown\n"
        if ($h->{'sec-websocket-accept'} // '') ne $accept;
    die "Upgrade is wrong\n$shown\n"
        if lc($h->{upgrade} // '') ne 'websocket';
    die "Connection is wrong\n$shown\n"
        if lc($h->{connection} // '') ne 'upgrade';
}


# unfinished REQUEST-LINE: the line and a header, and no end of them
sub client_unfinished {
    my ($self, $name, $line) = @_;

    $self->open_client($name)->write("$line\r\nHost: localhost\r\n");
}


# send EVENT {data} [id=ID]
sub client_send {
    my ($self, $name, $args) = @_;
    my ($event, $data, $id) =
        $args =~ /^(\S+)(?:\s+(\{.*\}))?(?:\s+id=(\S+))?$/s
        or die "send EVENT {data} id=ID\n";
    my $text = '{"event":"' . $event . '"'
               . (defined $data ? ",\"data\":$data" : '')
               . (defined $id ? ",\"id\":\"$id\"" : '') . '}';

    $self->client($name)->write(
        Writeen::Client::frame(op => 'text', payload => $text));
}


# The text as it stands.
sub client_text {
    my ($self, $name, $text) = @_;

    $self->client($name)->write(
        Writeen::Client::frame(op => 'text', payload => $text));
}


# "text", hex:6869, a*70000, or nothing
sub payload {
    my ($text) = @_;

    return unescape($1) if $text =~ /^"(.*)"$/s;
    return pack 'H*', $1 if $text =~ /^hex:([0-9a-fA-F]*)$/;
    return $1 x $2 if $text =~ /^(.)\*(\d+)$/;
    return $text;
}


# frame OP [fin=0] [rsv=4] [mask=0] [len16=1] [len64=1] [lie=N] [slow=1]
# [deflate=1] [payload]
sub client_frame {
    my ($self, $name, $args) = @_;
    my %o;

    ($o{op}, $args) = $args =~ /^(\w+)\s*(.*)$/s or die "frame OP\n";
    $o{$1} = $2
        while $args =~ s/^(fin|rsv|mask|len16|len64|lie|slow|deflate)
                          =(\d+)\s*//x;
    $o{payload} = payload($args);

    if ($o{deflate}) {
        $o{payload} = Writeen::Client::deflate($o{payload});
        $o{rsv} //= 4;
    }

    my $bytes = Writeen::Client::frame(%o);
    my $c = $self->client($name);
    $o{slow} ? $c->write_slowly($bytes) : $c->write($bytes);
}


# bytes HEX[*N]: in one piece
sub client_bytes {
    my ($self, $name, $text) = @_;
    my ($hex, $n) = $text =~ /^([0-9a-f ]+)(?:\*(\d+))?$/
        or die "bytes HEX*N\n";

    $self->client($name)->write(pack('H*', $hex =~ tr/ //dr) x ($n // 1));
}


# close [CODE [reason]]
sub client_close {
    my ($self, $name, $args) = @_;
    my ($code, $reason) = $args =~ /^(\d+)?\s*(.*)$/s;
    my $c = $self->client($name);

    $c->write(Writeen::Client::frame(op => 'close',
        payload => Writeen::Client::close_payload($code, payload($reason))));
    $c->{close_sent} = 1;
}


sub client_drop {
    my ($self, $name) = @_;

    (delete $self->{clients}{$name} // die "no $name\n")->drop;
}


# Nothing is answered for so long.
sub client_silent {
    my ($self, $name, $seconds) = @_;
    my $c = $self->client($name);

    $self->pump(sub { $c->{reply} || $c->{eof} }, $seconds);
    die "there is a reply\n" if $c->{reply} || $c->{eof};
}


# What comes is of no interest to the end of the block.
sub client_ignore { $_[0]->client($_[1])->{ignored} = 1 }


# compressed = N, > N: so many frames came so, since the handshake
sub client_compressed {
    my ($self, $name, $args) = @_;
    my ($op, $n) = $args =~ /^(=|>)\s*(\d+)$/ or die "compressed = N\n";
    my $got = $self->client($name)->{compressed} // 0;

    die "$got frames came compressed\n" if $op eq '=' ? $got != $n : $got <= $n;
}


# packed < N, > N: the last one of those had so many bytes
sub client_packed {
    my ($self, $name, $args) = @_;
    my ($op, $n) = $args =~ /^(<|>)\s*(\d+)$/ or die "packed < N\n";
    my $got = $self->client($name)->{packed} // die "none came compressed\n";

    die "it has $got bytes\n" if $op eq '<' ? $got >= $n : $got <= $n;
}


# No event so far had a match of this.
sub client_never {
    my ($self, $name, $re) = @_;

    die "it had\n" if $self->client($name)->{seen} =~ /$re/;
}


# times N REGEX: so often it has matched in what has come so far
sub client_times {
    my ($self, $name, $args) = @_;
    my ($want, $re) = $args =~ /^(\d+)\s+(.*)$/s or die "times N REGEX\n";

    $self->pump(sub { 0 }, 0.02);
    my $got = () = $self->client($name)->{seen} =~ /$re/g;
    die "it came $got times\n" if $got != $want;
}


# Stop reading; read again.
sub client_pause { $_[0]->client($_[1])->{paused} = 1 }
sub client_resume { delete $_[0]->client($_[1])->{paused} }


sub show {
    my ($f) = @_;

    return $f->{op} . ($f->{op} eq 'close' ? " $f->{code} $f->{reason}"
                                           : " $f->{payload}");
}


sub casual {
    my ($self, $f) = @_;

    return $f->{op} eq 'text' && $f->{payload} =~ /^\{"event":"(\w+)"/
           && $CASUAL{$1};
}


# The next frame (or the first that $want accepts).  Casual ones before it are
# dropped, unless they are wanted.
sub next_frame {
    my ($self, $name, $seconds, $casual, $want) = @_;
    my $c = $self->client($name);
    my $found;

    $self->pump(sub {
        my $list = $c->{frames};
        if (!$casual) {
            shift @$list while @$list && $self->casual($list->[0]);
        }
        for my $i (0 .. $#$list) {
            next if $want && !$want->($list->[$i]);
            ($found) = splice @$list, $i, 1;
            return 1;
        }
        return $c->{eof};
    }, $seconds);

    return $found if $found;

    my $left = join '', map { "\n  unread: " . show($_) }
                            @{ $c->{frames} };
    die(($c->{eof} ? 'the connection is closed' : 'nothing came')
        . "$left\n");
}


sub event_of {
    my ($f) = @_;
    my $e = $f->{op} eq 'text' && eval { $Json->decode($f->{payload}) };

    return ref $e eq 'HASH' && defined $e->{event} ? $e : undef;
}


# expect EVENT [within=S] conditions: the very next event is this one.
sub client_expect {
    my ($self, $name, $args) = @_;
    my ($event, $rest) = $args =~ /^(\w+)\s*(.*)$/s or die "expect what?\n";
    my $within = $rest =~ s/^within=([\d.]+)\s*// ? $1 : undef;

    my $f = $self->next_frame($name, $within, $CASUAL{$event});
    my $e = event_of($f);

    die 'got ' . show($f) . "\n" if !$e || $e->{event} ne $event;

    $self->check(sub { lookup($e, $_[0]) }, $rest, show($f));
}


# find EVENT conditions: the first of this name that meets the conditions
# comes, whatever comes before it (that stays to be read).
sub client_find {
    my ($self, $name, $args) = @_;
    my ($event, $rest) = $args =~ /^(\w+)\s*(.*)$/s or die "find what?\n";
    my $within = $rest =~ s/^within=([\d.]+)\s*// ? $1 : undef;

    $self->next_frame($name, $within, 1, sub {
        my $e = event_of($_[0]);
        return $e && $e->{event} eq $event
               && eval {
                   $self->check(sub { lookup($e, $_[0]) }, $rest, '');
                   1;
               };
    });
}


# Nothing comes for so long.
sub client_quiet {
    my ($self, $name, $seconds) = @_;
    my $c = $self->client($name);

    $self->pump(sub { $c->{eof} }, $seconds || 0.2);

    my @got = grep { !$self->casual($_) } @{ $c->{frames} };
    die 'got ' . show($got[0]) . "\n" if @got;
    die "the connection is closed\n" if $c->{eof};
}


# expect_frame OP [within=S] [payload]
sub client_expect_frame {
    my ($self, $name, $args) = @_;
    my ($op, $rest) = $args =~ /^(\w+)\s*(.*)$/s or die "which frame?\n";
    my $within = $rest =~ s/^within=([\d.]+)\s*// ? $1 : undef;
    my $f = $self->next_frame($name, $within);

    die 'got ' . show($f) . "\n" if $f->{op} ne $op;
    die "payload is \"$f->{payload}\"\n"
        if $rest ne '' && $f->{payload} ne payload($rest);
}


# expect_close CODE [within=S] [any=1] [reason~...]: the next frame (any=1: or
# a later one) is a Close with this code (which the client answers by itself),
# and then the server closes the connection.
sub client_expect_close {
    my ($self, $name, $args) = @_;
    my ($code, $rest) = $args =~ /^(\d+)\s*(.*)$/s or die "which code?\n";
    my $within = $rest =~ s/^within=([\d.]+)\s*// ? $1 : undef;
    my $any = $rest =~ s/^any=1\s*//;
    my $c = $self->client($name);

    my $f = $self->next_frame($name, $within, 0,
                              $any ? sub { $_[0]{op} eq 'close' } : undef);
    $c->{frames} = [] if $any;

    die 'got ' . show($f) . "\n" if $f->{op} ne 'close';
    die 'close code is ' . show($f) . "\n" if $f->{code} != $code;
    $self->check(sub { $f->{ $_[0] } }, $rest, show($f));

    $self->client_expect_eof($name);
}


sub client_expect_eof {
    my ($self, $name, $seconds) = @_;
    my $c = $self->client($name);

    $self->pump(sub { $c->{eof} }, $seconds || undef);

    die 'got ' . show($c->{frames}[0]) . "\n" if @{ $c->{frames} };
    die "the connection is still open\n" if !$c->{eof};
}

# The connection ends within so many seconds, however it does.
sub client_eof_or_close {
    my ($self, $name, $seconds) = @_;
    my $c = $self->client($name);

    $self->pump(sub { $c->{eof} || $c->{reply} && $c->{reply}{status} != 101
                      || grep { $_->{op} eq 'close' } @{ $c->{frames} } },
                $seconds || undef)
        or die "it goes on\n";
    $c->{ignored} = 1;
}


# Either the connection ended, or this event comes.
sub client_eof_or {
    my ($self, $name, $args) = @_;

    $self->client_expect($name, $args) if !$self->client($name)->{eof};
}


sub is_ack {
    my $e = event_of($_[0]);

    return $e && $e->{event} eq 'message_status';
}


# run ROOM FROM TO: the room's events FROM to TO come, each once and in order.
# Acks may stand between them and follow to the end of the block; so may other
# rooms' events between them.
sub client_run {
    my ($self, $name, $args) = @_;
    my ($room, $from, $to) = split ' ', $args;

    $self->client($name)->{acks} = 1;

    for my $seq ($from .. $to) {
        while (1) {
            my $f = $self->next_frame($name);
            my $e = event_of($f) or die 'got ' . show($f) . "\n";
            next if $e->{event} eq 'message_status'
                    || ($e->{data}{conversationId} // '') ne $room;
            die "wanted number $seq, got " . show($f) . "\n"
                if ($e->{data}{seq} // -1) != $seq
                   || $e->{event} ne 'message_received';
            last;
        }
    }
}


# caught-up ROOM TO: conversation_joined comes, and every event from 1 to TO
# exactly once: before it the live ones, after it what was missed and then the
# live ones, each time in order.
sub client_caught_up {
    my ($self, $name, $args) = @_;
    my ($room, $to) = split ' ', $args;
    my ($joined, $last, %seen) = (0, 0);

    while (!$joined || keys %seen < $to) {
        my $f = $self->next_frame($name);
        my $e = event_of($f) or die 'got ' . show($f) . "\n";
        next if $e->{data}{conversationId} ne $room;

        if ($e->{event} eq 'conversation_joined') {
            ($joined, $last) = (1, 0);
            next;
        }

        my $seq = $e->{data}{seq};
        die "number $seq came twice\n" if $seen{$seq}++;
        die "number $seq came after $last\n" if $seq <= $last;
        die "number $seq is too high\n" if $seq > $to;
        $last = $seq;
    }
}


# readers N MAX: N users read something, each told of once, in at most MAX events
sub client_readers {
    my ($self, $name, $args) = @_;
    my ($want, $max) = split ' ', $args;
    my ($n, %seen) = (0);

    while (keys %seen < $want) {
        my $f = $self->next_frame($name);
        my $e = event_of($f) or die 'got ' . show($f) . "\n";
        die 'got ' . show($f) . "\n" if $e->{event} ne 'message_status';
        for my $by (@{ $e->{data}{readBy} }) {
            die "$by->{userId} came twice\n" if $seen{ $by->{userId} }++;
        }
        die "more than $max events\n" if ++$n > $max;
    }
}


# try-send ROOM: a message with always the same id is accepted
sub client_try_send {
    my ($self, $name, $room) = @_;
    my %name = map { $_ => 1 } qw(error message_status);

    $self->client_send($name, qq(send_message {"conversationId":"$room",)
        . qq("content":{"text":"try"},"clientMessageId":"try"}));
    my $f = $self->next_frame($name, undef, 0, sub {
        my $e = event_of($_[0]);
        return $e && $name{ $e->{event} };
    });
    die 'got ' . show($f) . "\n"
        if event_of($f)->{event} ne 'message_status';
}

1;
