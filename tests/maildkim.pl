# maildkim.pl PORT: what Mail::DKIM (of Amavis and Proxmox Mail Gateway) says of a message on standard input, in CRLF. Keys come from the
# name server on 127.0.0.1:PORT. Prints "arc RESULT" and, for each DKIM signature from the bottom up, "dkim DOMAIN ALGORITHM RESULT".
use strict;
use warnings;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Net::DNS::Resolver;

binmode STDIN;
my $message = do { local $/; <STDIN> };
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $ARGV[0]));
my $arc = Mail::DKIM::ARC::Verifier->new();
$arc->PRINT($message);
$arc->CLOSE;
print "arc ", $arc->result, "\n";
my $dkim = Mail::DKIM::Verifier->new();
$dkim->PRINT($message);
$dkim->CLOSE;
print join(" ", "dkim", $_->domain, $_->algorithm, $_->result), "\n" for $dkim->signatures;
