# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rekeyd_global_optspecs
    string join \n h/help V/version
end

function __fish_rekeyd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rekeyd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rekeyd_using_subcommand
    set -l cmd (__fish_rekeyd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rekeyd -n "__fish_rekeyd_needs_command" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -s V -l version -d 'Print version'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "tethered" -d 'Run an application that is killed when its agent dies'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "contained" -d 'Run a program and end everything that it started'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "run" -d 'Run the daemon: rotate the credentials of the policy'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "check" -d 'Validate a policy and summarize it'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "init" -d 'Draft a policy from a workspace\'s service accounts'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "doctor" -d 'Check live dependencies and suggest fixes'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "schema" -d 'Print the policy\'s JSON Schema, for editors'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "status" -d 'Show the status of every credential, the worst first'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "consumers" -d 'Show which consumer uses which key, and when it was last seen'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "plan" -d 'Show the next rotation and its calls, without making them'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "forecast" -d 'Show upcoming rotations, and warn if the schedule cannot be kept'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "rehearse" -d 'Simulate the policy over many days, with slow consumers and crashes'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "audit" -d 'Show, verify or export the audit log'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "history" -d 'Show the past rotations of a credential'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "rotate" -d 'Rotate a credential now, regardless of its schedule'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "retry" -d 'Resume a parked rotation, or end the wait after a failure'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "abort" -d 'Cancel a rotation whose new key is not in use yet'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "rollback" -d 'Roll back to the old key'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "confirm" -d 'Confirm that consumers use the new key, so that the old one may be revoked'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "reinstate" -d 'Re-enable a disabled old key at once, and park the rotation'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "accept" -d 'Accept out-of-band changes of a key\'s permissions, limits and sibling keys'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "repair" -d 'Rebuild a damaged credential record from the journal\'s events'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "pause" -d 'Pause key creation, revocation, or both'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "resume" -d 'Lift a pause, or reset a tripped breaker'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "reload" -d 'Reload the policy; an invalid one is refused and the old one stays in force'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "account" -d 'Create a service account in a workspace'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "forget" -d 'Name a destination that left the policy no longer: its value was removed'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "sweep" -d 'Look for orphaned keys now'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "agent" -d 'Run beside an application: follow its secrets, reload or restart it, and acknowledge'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "sandbox" -d 'Run a simulated ElevenLabs workspace on this machine, for tests'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "demo" -d 'Watch rotations, a crash and a recovery on this machine, without an account'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "notify" -d 'Test the notification channels'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "healthcheck" -d 'Check the daemon\'s health, for containers'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "completions" -d 'Generate shell completions'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "man" -d 'Write the manual pages'
complete -c rekeyd -n "__fish_rekeyd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand tethered" -l parent -d 'PID of the agent' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand tethered" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand contained" -l keep -d 'Let the processes run on that the program leaves behind when it ends'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand contained" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand run" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand run" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand check" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand check" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l base-url -d 'API base URL of the workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l admin-key-file -d 'File that holds the admin key; `-` reads the standard input' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l admin-key-credential -d 'systemd credential that holds the admin key, instead of a file' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l ca-file -d 'PEM file with the only certificate authorities to trust' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l store -d 'Where to publish keys: `aws:REGION` or `dir:PATH`; repeatable. Prompted for on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l prefix -d 'Prefix of secret names in AWS Secrets Manager' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l policy -d 'File to write, never overwritten; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -l dry-run -d 'Print the policy instead of writing it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand init" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l account -d 'With --iam: AWS account ID; defaults to any account' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l region -d 'With --iam: region of the stores that name none; defaults to any region' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l kms-key -d 'With --iam: ARN of a customer-managed KMS key that encrypts the secrets; repeatable' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l write-probe -d 'Also test write access without changing anything: rewrite the current version in AWS, and create and remove a file in directories'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -l iam -d 'Print the minimal IAM policy document for this policy, and make no calls'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand schema" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l workspace -d 'Only those of this workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l phase -d 'Only those whose rotation is in this phase, or parked in it' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l sort -d 'Order of the table' -r -f -a "health\t'The worst first'
name\t''
workspace\t''
age\t'The oldest key first'
due\t'The next to be rotated first'"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l watch -d 'Show it again every two seconds, or as often as given, until interrupted' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l journal -d 'The journal of the daemon, which may be running or not, or a copy; by default the one of the policy' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l policy -d 'The policy of the daemon: says where the journal is, and which credentials there should be; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l no-color -d 'No colours, even on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l attention -d 'Only those that need an operator'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l why -d 'Explain one credential\'s state: gates, evidence, lagging consumers and rollback'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -l exit-code -d 'Exit with 4 if a credential needs an operator'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand consumers" -l journal -d 'The journal of the daemon, which may be running or not, or a copy; by default the one of the policy' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand consumers" -l policy -d 'The policy of the daemon: says where the journal is, and which credentials there should be; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand consumers" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand consumers" -l no-color -d 'No colours, even on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand consumers" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand consumers" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand plan" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand plan" -l journal -d 'Journal to read, instead of the policy\'s' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand plan" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand plan" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand plan" -l exit-code -d 'Exit with 4 if something is to be done now'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand plan" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forecast" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forecast" -l for -d 'Period to forecast, such as 90d or 12h' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forecast" -l output -d 'Output format' -r -f -a "table\t''
json\t''
ics\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forecast" -l now -d 'The time to tell from, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forecast" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l for -d 'Period to simulate, such as 90d or 12h' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l acks-after -d 'How long consumers take to switch to a new key and acknowledge it' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l never -d 'A consumer that never switches; repeatable' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l crash-every -d 'Crash the process during a call at this interval' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l now -d 'Start time, instead of now' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -l timeline -d 'Print every event of each rotation'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rehearse" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l journal -d 'The journal of the daemon, which may be running or not, or a copy; by default the one of the policy' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l policy -d 'The policy of the daemon: says where the journal is, and which credentials there should be; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l no-color -d 'No colours, even on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l credential -d 'Only records about this credential' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l since -d 'Only records from then on, such as 2026-01-31T00:00:00Z' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -l limit -d 'How many records, counted from the newest' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -f -a "verify" -d 'Verify the hash chain, and compare each record with its event; exit code 4 on a mismatch'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -f -a "compare" -d 'Find key changes in the workspaces\' audit logs that rekeyd did not make; exit code 4 if there are any'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -f -a "export" -d 'Print the records as JSON lines, oldest first, and the head on standard error'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and not __fish_seen_subcommand_from verify compare export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -l journal -d 'The journal of the daemon, which may be running or not, or a copy; by default the one of the policy' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -l policy -d 'The policy of the daemon: says where the journal is, and which credentials there should be; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -l no-color -d 'No colours, even on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -l expect -d 'Earlier head (SEQUENCE:HASH) that the log must contain' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from compare" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from compare" -l since -d 'From when on; by default the last seven days' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from compare" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from compare" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l journal -d 'The journal of the daemon, which may be running or not, or a copy; by default the one of the policy' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l policy -d 'The policy of the daemon: says where the journal is, and which credentials there should be; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l no-color -d 'No colours, even on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l credential -d 'Only records about this credential' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -l since -d 'Only records from then on, such as 2026-01-31T00:00:00Z' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Verify the hash chain, and compare each record with its event; exit code 4 on a mismatch'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "compare" -d 'Find key changes in the workspaces\' audit logs that rekeyd did not make; exit code 4 if there are any'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print the records as JSON lines, oldest first, and the head on standard error'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -l journal -d 'The journal of the daemon, which may be running or not, or a copy; by default the one of the policy' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -l policy -d 'The policy of the daemon: says where the journal is, and which credentials there should be; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -l output -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -l no-color -d 'No colours, even on a terminal' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -l now -d 'The time to tell by, instead of the clock\'s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -l limit -d 'How many rotations, counted from the newest' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand history" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l workspace -d 'Only those of this workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l reason -d 'Only those whose rotation is parked for this reason' -r -f -a "mint_refused\t''
mints_exhausted\t''
unrestricted\t''
old_key_unusable\t''
old_key_reenabled\t''
new_key_unusable\t''
foreign_value\t''
cannot_roll_back\t''
consumer_failing\t''
probe_red\t''
reinstated\t''
widened\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l all -d 'Every credential that the command is possible for'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l wait -d 'Wait until the rotation has ended, quarantine included, or needs an operator (exit code 1)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l emergency -d 'The key has leaked: skip all waits, and revoke the old key as soon as the new one is current'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -l yes -d 'Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not all named are left as they are without it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rotate" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l workspace -d 'Only those of this workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l reason -d 'Only those whose rotation is parked for this reason' -r -f -a "mint_refused\t''
mints_exhausted\t''
unrestricted\t''
old_key_unusable\t''
old_key_reenabled\t''
new_key_unusable\t''
foreign_value\t''
cannot_roll_back\t''
consumer_failing\t''
probe_red\t''
reinstated\t''
widened\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l all -d 'Every credential that the command is possible for'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l overwrite -d 'Overwrite values in the destinations that rekeyd did not write'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -l yes -d 'Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not all named are left as they are without it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand retry" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l workspace -d 'Only those of this workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l reason -d 'Only those whose rotation is parked for this reason' -r -f -a "mint_refused\t''
mints_exhausted\t''
unrestricted\t''
old_key_unusable\t''
old_key_reenabled\t''
new_key_unusable\t''
foreign_value\t''
cannot_roll_back\t''
consumer_failing\t''
probe_red\t''
reinstated\t''
widened\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l all -d 'Every credential that the command is possible for'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -l yes -d 'Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not all named are left as they are without it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand abort" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rollback" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rollback" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rollback" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rollback" -l check -d 'Only report whether a rollback is possible, and until when (exit code 0 or 1)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rollback" -l yes -d 'Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not all named are left as they are without it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l workspace -d 'Only those of this workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l reason -d 'Only those whose rotation is parked for this reason' -r -f -a "mint_refused\t''
mints_exhausted\t''
unrestricted\t''
old_key_unusable\t''
old_key_reenabled\t''
new_key_unusable\t''
foreign_value\t''
cannot_roll_back\t''
consumer_failing\t''
probe_red\t''
reinstated\t''
widened\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l all -d 'Every credential that the command is possible for'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -l yes -d 'Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not all named are left as they are without it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand confirm" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reinstate" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reinstate" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reinstate" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reinstate" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l workspace -d 'Only those of this workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l reason -d 'Only those whose rotation is parked for this reason' -r -f -a "mint_refused\t''
mints_exhausted\t''
unrestricted\t''
old_key_unusable\t''
old_key_reenabled\t''
new_key_unusable\t''
foreign_value\t''
cannot_roll_back\t''
consumer_failing\t''
probe_red\t''
reinstated\t''
widened\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l all -d 'Every credential that the command is possible for'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -l yes -d 'Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not all named are left as they are without it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand accept" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand repair" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand repair" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand repair" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand repair" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l workspace -d 'Every credential of a workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l only -d 'Pause only key creation (minting) or only revocation (revoking); by default both, and no rotation begins' -r -f -a "minting\t''
revoking\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l reason -d 'Reason to record with the pause' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -l all -d 'Every credential of the policy'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand pause" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -l workspace -d 'Every credential of a workspace' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -l only -d 'Resume only key creation (minting) or only revocation (revoking); by default both' -r -f -a "minting\t''
revoking\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -l all -d 'Every credential of the policy'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand resume" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reload" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reload" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reload" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand reload" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and not __fish_seen_subcommand_from create help" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and not __fish_seen_subcommand_from create help" -f -a "create" -d 'Create a service account, unless one of this name exists; the daemon records it in its audit log'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and not __fish_seen_subcommand_from create help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from create" -l workspace -d 'Workspace of the policy' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from create" -l group -d 'Sharing group of the account, with the role `viewer`, `editor` or `admin`; repeatable' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from create" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from create" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from create" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "create" -d 'Create a service account, unless one of this name exists; the daemon records it in its audit log'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forget" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forget" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forget" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand forget" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sweep" -l socket -d 'The daemon\'s socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sweep" -l policy -d 'The daemon\'s policy, to read the socket path from' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sweep" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sweep" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l config -d 'Configuration file, instead of the flags for one secret' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l aws-secret -d 'Secret in AWS Secrets Manager to follow' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l aws-region -d 'AWS region of the secret' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l file -d 'File to follow: a secret of rekeyd\'s directory store, or any other file' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l credential -d 'Name of the credential in rekeyd\'s policy' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l json-field -d 'Field of a JSON secret that holds the key' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l every -d 'Polling interval' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l to -d 'File to write the value to' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l mode -d 'Mode of the file' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l owner -d 'Owner of the file' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l group -d 'Group of the file' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l variable -d 'Environment variable with the value, with --exec' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l path-variable -d 'Environment variable with the path of the file, with --exec' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l on-change -d 'Command to run after a change; split at spaces, no shell' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l pid-file -d 'File with the process id to signal after a change' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l signal -d 'Signal to send: HUP, USR1, USR2, INT or TERM' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l notify-url -d 'URL on this machine to POST to after a change' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l health -d 'Health check command, healthy if it exits 0; split at spaces, no shell' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l health-url -d 'Health check URL on this machine, healthy if it answers 2xx' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l health-deadline -d 'How long the application may take to become healthy after a change' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l consumer -d 'Name of this consumer in rekeyd\'s policy; turns acknowledgements on' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l rekeyd -d 'URL of rekeyd\'s listener' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l token-file -d 'File with the consumer\'s token' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l token-env -d 'Environment variable with the consumer\'s token' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l token-credential -d 'systemd credential with the consumer\'s token' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l heartbeat -d 'How often to repeat an acknowledgement' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l exec -d 'Run the application after `--`, and restart it when a secret changes'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -l once -d 'Write every secret once and exit, to prepare for the application\'s start'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand agent" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l listen -d 'The address to listen on; port 0 takes a free one' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l api-version -d 'Which shape of the API to have' -r -f -a "august2025\t'No `key_id` on create; PATCH wants every field; no disable endpoint, no addresses, no expiry, no analytics'
september2026\t'`key_id`, allowed addresses, disable reasons, the usage hash, and PATCH with sentinels'
november2026\t'Expiry, concurrency limits and `POST …/disable` as well'"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l admin-key-file -d 'Where the admin key is, or is written to (mode 0600) if the file is not there; by default a temporary file' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l seed -d 'Make ids, values and the chances of faults repeatable' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l account -d 'A service account to begin with, which has one key; may be given several times' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l empty-account -d 'A service account to begin with that has no key; may be given several times' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l key-directory -d 'Directory to write the key of each `--account` to, in a file of the account\'s name (mode 0600)' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -l admin-account -d 'A service account to begin with that has one key, which may administer the workspace: for rehearsing an admin key that is itself kept fresh' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand demo" -l for -d 'How long rotations go on, at least 15s' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand demo" -l seed -d 'What every id and value is derived from' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand demo" -l keep -d 'Leave the directory with policy, journal, log and secrets'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand demo" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Send a test notification through every channel, or one; needs no daemon'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and __fish_seen_subcommand_from test" -l policy -d 'Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and __fish_seen_subcommand_from test" -l output -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and __fish_seen_subcommand_from help" -f -a "test" -d 'Send a test notification through every channel, or one; needs no daemon'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand notify; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand healthcheck" -l url -d 'Health URL: `/livez`, `/readyz` or any other URL of the public listener' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand healthcheck" -l file -d 'Check that this file exists and is not empty, instead of a URL' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand healthcheck" -l timeout -d 'Time limit in seconds' -r
complete -c rekeyd -n "__fish_rekeyd_using_subcommand healthcheck" -l ca-file -d 'PEM file with the only certificate authorities to trust for `https`' -r -F
complete -c rekeyd -n "__fish_rekeyd_using_subcommand healthcheck" -l output -d 'Output format; text prints nothing on success' -r -f -a "text\t''
json\t''"
complete -c rekeyd -n "__fish_rekeyd_using_subcommand healthcheck" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand completions" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand man" -s h -l help -d 'Print help'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "tethered" -d 'Run an application that is killed when its agent dies'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "contained" -d 'Run a program and end everything that it started'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "run" -d 'Run the daemon: rotate the credentials of the policy'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "check" -d 'Validate a policy and summarize it'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "init" -d 'Draft a policy from a workspace\'s service accounts'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "doctor" -d 'Check live dependencies and suggest fixes'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "schema" -d 'Print the policy\'s JSON Schema, for editors'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "status" -d 'Show the status of every credential, the worst first'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "consumers" -d 'Show which consumer uses which key, and when it was last seen'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "plan" -d 'Show the next rotation and its calls, without making them'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "forecast" -d 'Show upcoming rotations, and warn if the schedule cannot be kept'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "rehearse" -d 'Simulate the policy over many days, with slow consumers and crashes'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "audit" -d 'Show, verify or export the audit log'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "history" -d 'Show the past rotations of a credential'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "rotate" -d 'Rotate a credential now, regardless of its schedule'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "retry" -d 'Resume a parked rotation, or end the wait after a failure'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "abort" -d 'Cancel a rotation whose new key is not in use yet'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "rollback" -d 'Roll back to the old key'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "confirm" -d 'Confirm that consumers use the new key, so that the old one may be revoked'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "reinstate" -d 'Re-enable a disabled old key at once, and park the rotation'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "accept" -d 'Accept out-of-band changes of a key\'s permissions, limits and sibling keys'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "repair" -d 'Rebuild a damaged credential record from the journal\'s events'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "pause" -d 'Pause key creation, revocation, or both'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "resume" -d 'Lift a pause, or reset a tripped breaker'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "reload" -d 'Reload the policy; an invalid one is refused and the old one stays in force'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "account" -d 'Create a service account in a workspace'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "forget" -d 'Name a destination that left the policy no longer: its value was removed'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "sweep" -d 'Look for orphaned keys now'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "agent" -d 'Run beside an application: follow its secrets, reload or restart it, and acknowledge'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "sandbox" -d 'Run a simulated ElevenLabs workspace on this machine, for tests'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "demo" -d 'Watch rotations, a crash and a recovery on this machine, without an account'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "notify" -d 'Test the notification channels'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "healthcheck" -d 'Check the daemon\'s health, for containers'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "completions" -d 'Generate shell completions'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "man" -d 'Write the manual pages'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and not __fish_seen_subcommand_from tethered contained run check init doctor schema status consumers plan forecast rehearse audit history rotate retry abort rollback confirm reinstate accept repair pause resume reload account forget sweep agent sandbox demo notify healthcheck completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Verify the hash chain, and compare each record with its event; exit code 4 on a mismatch'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "compare" -d 'Find key changes in the workspaces\' audit logs that rekeyd did not make; exit code 4 if there are any'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "export" -d 'Print the records as JSON lines, oldest first, and the head on standard error'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "create" -d 'Create a service account, unless one of this name exists; the daemon records it in its audit log'
complete -c rekeyd -n "__fish_rekeyd_using_subcommand help; and __fish_seen_subcommand_from notify" -f -a "test" -d 'Send a test notification through every channel, or one; needs no daemon'
