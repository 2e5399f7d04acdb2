package Writeen::Steps;

# Writeen::FileSteps: uploads, the spool that they go to, and files as such.  A
# part of Writeen::Steps.

use strict;
use warnings;


# spool DIR [= ID]: the directory of writeen_spool; what nginx puts there is
# answered by `worker SPOOLED CONVERSATION ...` from now on.  $spool_id is its
# id.
sub step_spool {
    my ($self, $text) = @_;
    my ($dir, $want) = $text =~ /^(\S+)(?: = (\w+))?$/ or die "spool DIR\n";

    open my $fh, '<', "$dir/id" or die "$dir/id: $!\n";
    my $id = <$fh> // '';

    die "its id is $id\n"
        if $id !~ /^[0-9a-f]{24}$/ || defined $want && $id ne $want;
    $self->{spool} = $dir;
    $self->{vars}{spool_id} = $id;
    $self->{streams}{"wrt:files:$id"} //= '0-0';

    # ask again, for this stream too
    delete $self->{listener};
    $self->listen_calls;
}


# spooled = N | > N: so many bodies are in it, whole or not
# spooled FILE a [mode=660]: this one is the form that client a sent
sub step_spooled {
    my ($self, $text) = @_;
    my $dir = $self->{spool} or die "no spool\n";

    if ($text =~ /^([=>]) (\d+)$/) {
        my @got = grep { !m{/id$} } glob "$dir/*";
        die 'there is ' . join(', ', @got) . "\n"
            if $1 eq '=' ? @got != $2 : @got <= $2;
        return;
    }

    my ($file, $name, $mode) = $text =~ /^(\w+) (\w+)(?: mode=(\d+))?$/
        or die "spooled FILE CLIENT mode=M\n";
    my $form = $self->client($name)->{form} // die "$name sent no form\n";

    open my $fh, '<:raw', "$dir/$file" or die "$dir/$file: $!\n";
    my $got = do { local $/; <$fh> } // '';

    die length($got) . ' bytes, not ' . length($form) . "\n"
        if length $got != length $form;
    die "other bytes\n" if $got ne $form;

    my $is = sprintf '%o', (stat $fh)[2] & 07777;
    die "its mode is $is\n" if defined $mode && $is ne $mode;
}


# write FILE PAYLOAD; rename FILE NAME
sub step_write {
    my ($self, $text) = @_;
    my ($file, $payload) = $text =~ /^(\S+)\s+(.*)$/ or die "write FILE\n";

    open my $fh, '>', $file or die "$file: $!\n";
    print $fh payload($payload);
    close $fh;
}


sub step_rename {
    my ($self, $text) = @_;
    my ($from, $to) = split ' ', $text;

    rename $from, $to or die "$from: $!\n";
}


# crowd-upload NAME N FORM PART [TOKEN]: N clients, each with an upload of FORM
# bytes to a room of its own, of which PART are sent; as users 1 to N
sub step_crowd_upload {
    my ($self, $text) = @_;
    my ($name, $n, $form, $part, $token) = split ' ', $text;

    $self->client_request("$name$_", "POST /api/conversations/room$_/upload "
                                     . 'token=' . ($token // "u$_")
                                     . " form=$form part=$part")
        for 1 .. $n;
}

1;
