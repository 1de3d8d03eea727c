package main

import "github.com/spf13/cobra"

func newCompletionCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|ksh",
		Short: "print completions for a shell",
		Long:  "completion prints a script that makes the shell complete pfwarden's verbs and flags.",
		Example: "  pfwarden completion bash > /usr/local/share/bash-completion/completions/pfwarden\n" +
			"  pfwarden completion zsh > /usr/local/share/zsh/site-functions/_pfwarden\n" +
			"  pfwarden completion fish > ~/.config/fish/completions/pfwarden.fish\n" +
			"  pfwarden completion ksh >> ~/.kshrc",
		Args:      nArgs(cobra.ExactArgs(1)),
		ValidArgs: []string{"bash", "zsh", "fish", "ksh"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(streams.Out, true)
			case "zsh":
				return root.GenZshCompletion(streams.Out)
			case "fish":
				return root.GenFishCompletion(streams.Out, true)
			case "ksh":
				return kshCompletion(streams, root)
			}
			return usagef("completion: no shell %q; expected bash, zsh, fish or ksh", args[0])
		},
	}
}

// kshCompletion writes what OpenBSD's ksh(1) completes from: an array complete_PROGRAM_N for the Nth word.
func kshCompletion(streams stdio, root *cobra.Command) error {
	p := &painter{w: streams.Out}
	p.printf("set -A complete_pfwarden_1 --")
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			p.printf(" %s", c.Name())
		}
	}
	p.printf("\n")
	return p.err
}
