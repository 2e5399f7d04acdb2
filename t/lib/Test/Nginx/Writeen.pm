package Test::Nginx::Writeen;

# Test::Nginx::Writeen: Test::Nginx for the Writeen module.
#
#     use lib 't/lib';
#     use Test::Nginx::Writeen;
#
#     run_tests();
#
#     __DATA__
#
#     === TEST 1: a message reaches the other member
#     --- steps
#     room room1 u1 u2
#     a connect u1
#     b connect u2
#     a send send_message {"conversationId":"room1","content":{"text":"hi"}}
#     b expect message_received data.seq=1 data.message.content.text=hi
#
# What a block may have beyond Test::Nginx's own sections is described in
# t/README.md.  This file sets the stage for each block (ports, Redis, a
# configuration), runs its steps, and judges the logs afterwards: a line with
# [alert], [crit], [emerg] or a sanitizer's report fails the block, and so
# does any part of a token, even when nginx writes it while it stops.

use strict;
use warnings;

use Cwd qw(abs_path);
use Fcntl qw(LOCK_EX LOCK_NB O_CREAT O_RDWR);
use File::Basename qw(basename dirname);
use File::Path qw(make_path remove_tree);
use File::Spec ();
use File::Temp ();
use IO::Socket::INET ();
use Time::HiRes qw(sleep time);

my ($Root, $Temp, @Locks);

# Ports come from a range of their own, below the ephemeral ones, each locked
# while in use: several files, and several copies of the suite, may run at
# the same time.
sub free_port {
    my ($from, $to) = split /-/, $ENV{WRITEEN_T_PORTS} || '7200-7299';
    my $dir = File::Spec->tmpdir . "/writeen-t-ports-$<";

    make_path($dir);

    for my $port ($from .. $to) {
        sysopen my $lock, "$dir/$port", O_CREAT | O_RDWR, 0600 or next;
        flock $lock, LOCK_EX | LOCK_NB or next;

        my $sock = IO::Socket::INET->new(
            LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 1,
            ReuseAddr => 1) or next;
        close $sock;

        push @Locks, $lock;
        return $port;
    }

    die "no free port in $from-$to\n";
}

# Test::Nginx reads its environment when it is loaded.
BEGIN {
    $Root = abs_path(dirname(__FILE__) . '/../../../..');
    $Temp = File::Temp->newdir('writeen-t-XXXXXX', TMPDIR => 1);

    my $dir = $ENV{WRITEEN_T_DIR} || "$Root/build/t";
    make_path($dir);
    my $name = basename($0, '.t');
    $ENV{TEST_NGINX_SERVROOT} ||= File::Spec->rel2abs("$dir/$name");
    $ENV{TEST_NGINX_PORT} ||= free_port();
    $ENV{TEST_NGINX_LOG_LEVEL} ||= 'info';

    # Debian's nginx needs the module's file; one that has it compiled in
    # (TEST_NGINX_BINARY) must not load it again
    $ENV{TEST_NGINX_LOAD_MODULES} //=
        "$Root/build/ngx_http_writeen_module.so"
        if !$ENV{TEST_NGINX_BINARY};
}

# prove ends the others when one file bails out: let Test::Nginx stop its nginx
$SIG{$_} = sub { exit 1 } for qw(HUP INT TERM);

use Test::Nginx::Socket ();
use Test::Nginx::Util ();
use Test::More ();

use Writeen::Client;
use Writeen::Redis;
use Writeen::Steps;
use Writeen::Token;

our @ISA = ('Test::Nginx::Socket');
our @EXPORT = qw(redis_server key_pair with_workers spool_dir);

my $SECRET = 'a-secret-of-the-tests-0123456789abcdef';
$ENV{TEST_NGINX_SECRET} = $SECRET;

my %Servers;
my $Tokens = Writeen::Token->new(dir => "$Temp", secret => $SECRET);
my ($TlsPort, $SpreadPort, $SmallPort);
my $Steps;
my @Bus = ('main');
my %Vars = (secret => $SECRET, port => $Test::Nginx::Util::ServerPort,
            temp => "$Temp");

redis_server('main');

Test::Nginx::Util::worker_connections(1024);
Test::Nginx::Util::master_on();
Test::Nginx::Util::timeout(30);     # nginx may take so long to end


# Another Redis server for this file: unix => 1, password, db.  In a
# configuration its URL is $TEST_NGINX_REDIS_<NAME>, its port
# $TEST_NGINX_PORT_<NAME>; and it may be named in a block's `--- redis`.
sub redis_server {
    my ($name, %o) = @_;

    my $server = Writeen::Redis->new(
        name => $name, dir => "$Temp/$name", owner => $$,
        library => "$Root/sql_or_mongo_scripts/redis/writeen.lua",
        ($o{unix} ? () : (port => free_port())), %o);

    $Servers{$name} = $server;
    $ENV{ 'TEST_NGINX_REDIS_' . uc $name } = $server->url;
    $ENV{ 'TEST_NGINX_PORT_' . uc $name } = $server->{port} // 0;
}


# A key pair for RS256 (rsa) or ES256 (ec); its public part's path is
# $TEST_NGINX_KEY_<NAME> in configurations, $key_<name> in steps.
sub key_pair {
    my ($name, $type) = @_;
    my $path = $Tokens->key_pair($name, $type);

    $ENV{ 'TEST_NGINX_KEY_' . uc $name } = $path;
    $Vars{"key_$name"} = $path;
    $Vars{"private_$name"} = $path =~ s/pub$/key/r;
}


# Several nginx workers; clients use a port of their own, over which the kernel
# spreads connections (reuseport).  The one of Test::Nginx can not be it: with
# TEST_NGINX_USE_HUP it is written into two servers.
sub with_workers {
    Test::Nginx::Util::workers(shift);
    $SpreadPort = free_port();
    $Vars{port} = $SpreadPort;
}


# A directory for uploads, that nginx has to make: $TEST_NGINX_SPOOL in
# configurations, $spool in steps.  It is emptied before each block.
sub spool_dir {
    $Vars{spool} = $ENV{TEST_NGINX_SPOOL} = "$Temp/spool";
}


# -- a block --

# What a block does not say is filled in.
sub prepare {
    my ($block) = @_;

    my @bus = split ' ', $block->redis // 'main';
    @Bus = @bus;

    if (!defined $block->http_config) {
        $block->set_value('http_config', join "\n",
            'writeen_redis ' . join(' ', map { $Servers{$_}->url } @bus)
            . ';', $block->http_with // '');
    }

    if (!defined $block->config) {
        my $with = $block->with // '';
        my $key = $with =~ /writeen_jwt_key/
                  ? '' : "writeen_jwt_key HS256 $SECRET;";
        my $listen = $SpreadPort
                     ? "listen 127.0.0.1:$SpreadPort reuseport;" : '';
        if (defined $block->sndbuf) {
            $SmallPort ||= free_port();
            $listen .= "listen 127.0.0.1:$SmallPort sndbuf="
                       . $block->sndbuf . ';';
        }
        $block->set_value('config', <<"EOC");
$listen
$key
$with
location = /ws { writeen_websocket on; }
location /api/ { writeen_api on; }
location = /healthz { writeen_health on; }
location = /metrics { writeen_metrics on; }
EOC
    }

    if (defined $block->must_die) {
        $block->set_value('suppress_stderr', 1);
        return;
    }

    Test::Nginx::Util::master_process_enabled(!defined $block->single);

    # makes Test::Nginx call judge_shutdown() once nginx has stopped
    $block->set_value('no_shutdown_error_log', 'x');

    for my $server (values %Servers) {
        $server->resume if delete $server->{paused};
        $server->start if !$server->{pid};
        $server->cmd('FLUSHALL');
        $server->cmd('ACL', 'SETUSER', 'default', 'allchannels');

        if (defined $block->no_library) {
            $server->cmd('FUNCTION', 'FLUSH');
            $server->{loaded} = 0;
        }
        $server->load if !$server->{loaded} && !defined $block->no_library;
    }
    $Servers{ $bus[0] }->cmd('HSET', 'wrt:config', 'shards',
                             $block->shards // 16);
    unlink grep { !m{/id$} } glob "$Temp/spool/*";
}


# Wait until this nginx has its Redis connections.
sub wait_ready {
    my ($need) = @_;
    my $until = time + 30;
    my $good = 0;

    while ($good < $need) {
        die "nginx does not get ready\n" if time > $until;

        my $c = eval {
            Writeen::Client->new(
                port => $SpreadPort || $Test::Nginx::Util::ServerPort);
        };
        sleep(0.02), next if !$c;

        $c->request('GET', '/healthz', '1.1',
                    ['Host: localhost', 'Connection: close']);
        my $wait = time + 5;
        while (!$c->{reply} && !$c->{eof} && time < $wait) {
            $c->readable
                if IO::Select->new($c->{sock})->can_read($wait - time);
        }
        my $body = $c->{reply} && $c->{reply}{body} || '';
        $c->drop;

        if ($body =~ /"redis":"ok"/) {
            $good++;
        } else {
            $good = 0;
            sleep 0.02;
        }
    }
}


# `--- vars`: a name and a payload (t/README.md) a line.
sub block_vars {
    my ($block) = @_;

    return map { /^(\w+)\s+(.*)$/ ? ($1, Writeen::Steps::payload($2)) : () }
               split /\n/, $block->vars // '';
}


sub run_block {
    my ($block, $dry_run, $i) = @_;
    my $name = $block->name;
    my $workers = Test::Nginx::Util::workers();

    $name =~ s{^.*/}{};

    $Steps = Writeen::Steps->new(
        servers => \%Servers, bus => [@Bus], tokens => $Tokens,
        port => (defined $block->sndbuf ? $SmallPort : $SpreadPort)
                || $Test::Nginx::Util::ServerPort,
        tls_port => $TlsPort,
        pid_file => $Test::Nginx::Util::PidFile,
        error_log => $Test::Nginx::Util::ErrLogFile,
        access_log => $Test::Nginx::Util::AccLogFile,
        nginx => $Test::Nginx::Util::NginxBinary, temp => "$Temp",
        modules => join(' ', map { "load_module $_;" }
                             split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // ''),
        vars => { %Vars, block_vars($block) },
        several => $workers > 1,
        ready => sub { wait_ready($workers > 1 ? 20 : 1) },
    );

    my $ready = defined $block->no_wait
                || eval { $Steps->{ready}->(); 1 };

    if (!$ready) {
        Test::More::fail("$name: $@");

    } elsif (defined $block->steps) {
        my $failed = eval { $Steps->run($name, $block->steps) };
        my @left = $failed ? () : $Steps->leftovers;
        Test::More::ok(!@left, "$name: nothing else was received");
        Test::More::diag($_) for @left;
    }

    $Steps->finish;
    judge_logs($block, 'while it ran');
    $Test::Nginx::Util::CheckErrorLog->($block, undef, $dry_run, $i - 1, 0)
        if defined $block->error_log || defined $block->no_error_log;
}


# The logs as an output: what must never be in them.
sub judge_logs {
    my ($block, $when) = @_;
    my $name = $block->name;
    my @bad;

    return if defined $block->must_die;

    $name =~ s{^.*/}{};
    sleep 0.02;

    my @secrets = $Tokens->secrets;
    my $secrets = @secrets ? join '|', map { quotemeta } @secrets : '(?!)';
    my $alarm = qr/\[(?:alert|crit|emerg)\]|Sanitizer|runtime\ error:
                   |Assertion.*failed|exited\ on\ signal/x;
    my $expected = $block->expected_alarm;

    for my $file ($Test::Nginx::Util::ErrLogFile,
                  $Test::Nginx::Util::AccLogFile)
    {
        open my $fh, '<', $file or next;
        my $more = 0;           # lines of a sanitizer's report
        while (my $line = <$fh>) {
            next if defined $expected && $line =~ /$expected/;
            $more = 20 if $line =~ /ERROR: \w+Sanitizer|runtime error:/;
            push @bad, $line if $line =~ $alarm || $more-- > 0;
            push @bad, "token in $file: $line" if $line =~ /$secrets/;
        }
    }

    Test::More::ok(!@bad, "$name: logs are clean $when");
    Test::More::diag($_) for @bad > 40 ? @bad[0 .. 39] : @bad;
}


sub judge_shutdown { judge_logs($_[0], 'after it stopped') }


# -- a file --

sub stop_nginx {
    my $pid_file = $Test::Nginx::Util::PidFile;

    open my $fh, '<', $pid_file or return;
    my $pid = int <$fh>;

    kill 'QUIT', $pid;
    my $until = time + 30;
    while (Test::Nginx::Util::is_running($pid)) {
        if (time > $until) {
            Test::More::fail('nginx ends when told to');
            kill 'KILL', $pid;
            last;
        }
        sleep 0.02;
    }
    unlink $pid_file;
}


{
    no warnings qw(once redefine);

    *run_tests = sub () {
        Test::More::plan('no_plan');

        my ($crt, $key);
        if (grep { defined $_->tls } Test::Base::blocks()) {
            ($crt, $key) = $Tokens->certificate;
            $TlsPort = free_port();
            $ENV{TEST_NGINX_CRT} = $crt;
            $ENV{TEST_NGINX_KEY} = $key;
            $ENV{TEST_NGINX_TLS_PORT} = $TlsPort;
        }

        $Test::Nginx::Util::RunTestHelper = \&run_block;
        $Test::Nginx::Util::CheckShutdownErrorLog = \&judge_shutdown;
        Test::Nginx::Util::add_block_preprocessor(\&prepare);

        Test::Nginx::Util::run_tests();

        stop_nginx();
        Test::Nginx::Util::check_prev_block_shutdown_error_log();
        undef $Test::Nginx::Util::PrevBlock;

        $_->end('TERM') for values %Servers;

        # kept for a look when something failed
        remove_tree($ENV{TEST_NGINX_SERVROOT})
            if Test::More->builder->is_passing && !$ENV{TEST_NGINX_NO_CLEAN};
    };
    push @EXPORT, 'run_tests';
}

1;
