package Writeen::Steps;

# Writeen::NginxSteps: nginx itself: its processes, configurations, logs and
# figures.  A part of Writeen::Steps.

use strict;
use warnings;

use Time::HiRes qw(sleep time);


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
# PLACE is main, http, server, location or behind (what stands behind the http
# block), with everything that is needed around it; `none` is a location without writeen_redis and writeen_jwt_key,
# `nokey` one without the latter.  REGEX is about what nginx prints.
sub try_config {
    my ($self, $text, $want) = @_;
    my ($place, $user, $lines, $re) =
        $text =~ /^(\w+)(?: as (\w+))?:\s+(.*?)(?:\s+~\s+(.*))?$/
        or die "good|bad PLACE: DIRECTIVES ~ REGEX\n";
    my %at = map { $_ => '' } qw(main http server location behind);
    my $dir = $self->{temp};
    my $file = "$dir/try.conf";

    my $bare = $place =~ /^(?:none|nokey)$/ ? $place : '';
    $place = 'location' if $bare;
    die "no place $place\n" if !exists $at{$place};
    $at{$place} = $lines;
    return if defined $user && $> != 0;     # nobody else may say so
    $at{main} .= "user $user;" if defined $user;
    $at{http} = "writeen_redis redis://127.0.0.1:6379; $at{http}"
        if $bare ne 'none' && $lines !~ /writeen_redis\s/;
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
$at{behind}
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

1;
