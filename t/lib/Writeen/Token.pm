package Writeen::Token;

# Writeen::Token: tokens as a client may bring them, good and bad.
#
# HMAC is made here, RSA and EC signatures by the openssl command, so that
# the server's own libraries are never judged by themselves.  Every token made
# is remembered: the runner searches the logs for all of them.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

my %HMAC = (
    HS256 => \&hmac_sha256,
    HS384 => \&hmac_sha384,
    HS512 => \&hmac_sha512,
);

my $Json = JSON::PP->new->canonical;


# dir: where keys are kept; secret: the one of HS256 unless a token names
# another.
sub new {
    my ($class, %o) = @_;

    return bless { %o, keys => {}, made => [] }, $class;
}


sub openssl {
    my (@args) = @_;

    open my $null, '>', '/dev/null' or die "/dev/null: $!";
    open my $saved, '>&', \*STDERR or die "STDERR: $!";
    open STDERR, '>&', $null or die "STDERR: $!";
    my $rc = system('openssl', @args);
    open STDERR, '>&', $saved or die "STDERR: $!";

    die "openssl @args failed" if $rc != 0;
}


# Make a key pair; returns the path of its public part.  type: rsa or ec.
sub key_pair {
    my ($self, $name, $type) = @_;
    my ($priv, $pub) = map { "$self->{dir}/$name.$_" } qw(key pub);

    if (!$self->{keys}{$name}) {
        openssl('genpkey', '-out', $priv,
                $type eq 'rsa'
                ? ('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048')
                : ('-algorithm', 'EC', '-pkeyopt',
                   'ec_paramgen_curve:P-256'));
        openssl('pkey', '-in', $priv, '-pubout', '-out', $pub);
        $self->{keys}{$name} = $priv;
    }

    return $pub;
}


# A self-signed certificate for 127.0.0.1; returns (certificate, key).
sub certificate {
    my ($self) = @_;
    my ($crt, $key) = ("$self->{dir}/tls.crt", "$self->{dir}/tls.key");

    if (!-f $crt) {
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 2,
                '-subj', '/CN=localhost', '-keyout', $key, '-out', $crt);
    }

    return ($crt, $key);
}


sub sign_with_key {
    my ($self, $key, $text, $ec) = @_;
    my ($in, $out) = ("$self->{dir}/sign.in", "$self->{dir}/sign.out");

    my $priv = $self->{keys}{$key} or die "no key pair \"$key\"";

    open my $fh, '>:raw', $in or die "$in: $!";
    print $fh $text;
    close $fh;

    openssl('dgst', '-sha256', '-sign', $priv, '-out', $out, $in);

    open $fh, '<:raw', $out or die "$out: $!";
    my $sig = do { local $/; <$fh> };
    close $fh;

    return $sig if !$ec;

    # DER: SEQUENCE of two INTEGERs; a JWT has both as 32 bytes
    my ($rl) = unpack 'x3 C', $sig;
    my $r = substr $sig, 4, $rl;
    my $sl = unpack 'C', substr $sig, 5 + $rl, 1;
    my $s = substr $sig, 6 + $rl, $sl;

    return join '', map {
        my $n = s/^\0+//r;
        "\0" x (32 - length $n) . $n;
    } $r, $s;
}


# Make a token.
#   alg     what the header says (HS256)
#   sign    how it is signed, when that is something else
#   key     secret, name of a key pair, or @path: the bytes of that file
#   kid, typ, crit      header members
#   claims  hash; a value of undef leaves a claim out; exp, nbf and iat may be
#           relative ("+60", "-1")
#   raw     hash of claims that are taken as they are
# Without claims: sub u1, role student, an hour to live.
sub mint {
    my ($self, %o) = @_;
    my $alg = $o{alg} // 'HS256';
    my $how = $o{sign} // $alg;
    my $now = time;

    my %claims = (role => 'student', exp => '+3600', %{ $o{claims} || {} });
    for my $name (keys %claims) {
        delete $claims{$name}, next if !defined $claims{$name};

        if ($name =~ /^(?:exp|nbf|iat)$/ && !ref $claims{$name}) {
            $claims{$name} = $now + $1 if $claims{$name} =~ /^([+-]\d+)$/;
            $claims{$name} += 0 if $claims{$name} =~ /^\d+$/;
        }
    }

    %claims = (%claims, %{ $o{raw} || {} });

    my %header = (alg => $alg, typ => 'JWT');
    for my $name (qw(kid typ crit)) {
        $header{$name} = $o{$name} if defined $o{$name};
    }

    my $text = join '.', map { encode_base64url($Json->encode($_)) }
                             \%header, \%claims;

    my $sig = '';

    if ($how eq 'RS256' || $how eq 'ES256') {
        $sig = $self->sign_with_key($o{key}, $text, $how eq 'ES256');

    } elsif ($how ne 'none') {
        my $key = $o{key} // $self->{secret};
        if ($key =~ /^\@(.*)/) {
            open my $fh, '<:raw', $1 or die "$1: $!";
            $key = do { local $/; <$fh> };
        }
        $sig = $HMAC{$how}->($text, $key);
    }

    my $token = "$text." . encode_base64url($sig);
    push @{ $self->{made} }, $token;

    return $token;
}


# Parts of the tokens made so far that must never be in a log.
sub secrets {
    my ($self) = @_;
    my %parts;

    for my $token (@{ $self->{made} }) {
        my (undef, $claims, $sig) = split /\./, $token;
        $parts{$_} = 1 for grep { defined && length > 20 } $claims, $sig;
    }

    return keys %parts;
}

1;
