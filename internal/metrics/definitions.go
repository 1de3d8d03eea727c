package metrics

// Type is a Prometheus metric type.
type Type string

// The types in use.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Definition describes one metric family. docs/metrics.md lists exactly these.
type Definition struct {
	Name   string
	Type   Type
	Help   string
	Labels []string
}

// Definitions lists every metric family of pfwarden's own, in the order of docs/metrics.md. The families of the Go runtime and
// of the process (go_*, process_*), which client_golang adds, are not among them.
func Definitions() []Definition {
	return []Definition{
		// Input.
		{"pfwarden_records_total", Counter, "Records read, by source.", []string{"source"}},
		{"pfwarden_records_rejected_total", Counter, "Records rejected, by source and cause.", []string{"source", "cause"}},
		{"pfwarden_last_record_timestamp_seconds", Gauge, "Time stamp of the newest record of this source, in Unix seconds.", []string{"source"}},
		{"pfwarden_capture_up", Gauge, "Whether packets are being captured on this interface.", []string{"interface"}},
		{"pfwarden_capture_received_total", Counter, "Packets that the kernel's capture filter accepted.", []string{"interface"}},
		{"pfwarden_capture_dropped_total", Counter, "Packets lost before pfwarden read them, by place.", []string{"interface", "place"}},
		{"pfwarden_capture_reopened_total", Counter, "Times that the capture interface disappeared and was reopened.", []string{"interface"}},
		{"pfwarden_log_readable", Gauge, "Whether the log file exists and can be read.", []string{"file"}},
		{"pfwarden_log_lines_total", Counter, "Lines read from the log file.", []string{"file"}},
		{"pfwarden_log_lines_cut_total", Counter, "Lines cut because they were longer than the limit.", []string{"file"}},
		{"pfwarden_log_lag_bytes", Gauge, "Bytes of the log file that have not been read yet.", []string{"file"}},
		{"pfwarden_log_lag_lines", Gauge, "Lines that have been read but not judged yet.", []string{"file"}},
		{"pfwarden_log_changes_total", Counter, "Times that the log file was renamed, truncated, deleted or replaced.", []string{"file", "change"}},

		// Detector.
		{"pfwarden_observations_total", Counter, "Observations made from records, by jail and kind.", []string{"jail", "kind"}},
		{"pfwarden_verdicts_total", Counter, "Verdicts on sources whose suspicion reached 1, by the jail with the largest share.", []string{"jail", "proof", "outcome"}},
		{"pfwarden_gates_total", Counter, "Answers of gates when a verdict was due, by gate and whether it stopped the verdict.", []string{"gate", "stopped"}},
		{"pfwarden_detector_slots", Gauge, "Sources that the detector's table of slots can hold.", nil},
		{"pfwarden_detector_slots_used", Gauge, "Sources in the detector's table of slots.", nil},
		{"pfwarden_detector_sources_half_suspected", Gauge, "Sources with a suspicion of 0.5 or more, counted once a minute.", nil},
		{"pfwarden_detector_evictions_total", Counter, "Sources pushed out to make room for others; from the table of slots they go to the spill.", nil},
		{"pfwarden_detector_spilled", Gauge, "Sources in the spill, 8 bytes each: those pushed out of the table of slots, and those with few doors that found no free slot.", nil},
		{"pfwarden_detector_spill_lost_total", Counter, "Sources forgotten because the spill had no room for them.", nil},
		{"pfwarden_detector_doorkeeper_fill_ratio", Gauge, "Share of bits set in the doorkeeper's current generation, 0 to 1.", nil},
		{"pfwarden_detector_doorkeeper_held_total", Counter, "First packets of sources, which the doorkeeper only marked and which took no slot.", nil},
		{"pfwarden_detector_late_total", Counter, "Observations that came too late to count.", nil},

		// Bans.
		{"pfwarden_bans_total", Counter, "Bans made, by jail and table.", []string{"jail", "table"}},
		{"pfwarden_bans_prolonged_total", Counter, "Bans prolonged because PF still counted packets of their address.", []string{"jail"}},
		{"pfwarden_bans_extended_total", Counter, "Bans whose end was postponed by a later verdict or by an administrator.", []string{"jail"}},
		{"pfwarden_bans_refused_total", Counter, "Bans that the detector or an administrator asked for and that were refused, by reason.", []string{"why"}},
		{"pfwarden_unbans_total", Counter, "Bans ended, by table and reason.", []string{"table", "why"}},
		{"pfwarden_bans_forgotten_total", Counter, "Data about bans dropped for lack of room: evidence and ends while the ledger could not be written, and steps of the ladder.", []string{"what"}},
		{"pfwarden_active_bans", Gauge, "Bans in force, by jail and table.", []string{"jail", "table"}},
		{"pfwarden_ban_latency_seconds", Histogram, "Time from reading the record that reached the threshold until pfctl confirmed the ban.", nil},

		// Names and ignore commands.
		{"pfwarden_names_total", Counter, "Host names in log lines, by outcome of looking them up.", []string{"outcome"}},
		{"pfwarden_ignore_commands_total", Counter, "Queries to the ignore commands of jails, by outcome.", []string{"outcome"}},
		{"pfwarden_ignored_total", Counter, "Failures ignored because their source is on a jail's ignore list.", nil},
		{"pfwarden_screen_queue_length", Gauge, "Failures that wait for a name to be resolved or an ignore command to answer.", nil},

		// PF.
		{"pfwarden_pfctl_runs_total", Counter, "Runs of pfctl, by operation.", []string{"operation"}},
		{"pfwarden_pfctl_errors_total", Counter, "Runs of pfctl that failed, by cause.", []string{"cause"}},
		{"pfwarden_pfctl_duration_seconds", Histogram, "Duration of pfctl runs, by operation.", []string{"operation"}},
		{"pfwarden_pfctl_queue_length", Gauge, "Additions and deletions of addresses that wait for pfctl.", nil},
		{"pfwarden_pfctl_state_queue_length", Gauge, "Addresses whose states wait to be killed.", nil},
		{"pfwarden_pfctl_state_queue_dropped_total", Counter, "Addresses whose states were not killed because that queue was full.", nil},
		{"pfwarden_pfctl_lines_skipped_total", Counter, "Lines of pfctl's output that were not understood.", nil},
		{"pfwarden_pf_resyncs_total", Counter, "Times that PF's tables differed from what they should hold and were repaired, by cause.", []string{"cause"}},
		{"pfwarden_pf_addresses_refused_total", Counter, "Addresses not handed to PF because they may never be banned.", nil},
		{"pfwarden_pf_foreign_addresses", Gauge, "Addresses in our tables that pfwarden did not put there.", []string{"table"}},
		{"pfwarden_pf_up", Gauge, "Whether PF's counters could be read for this scrape.", nil},
		{"pfwarden_pf_read_timestamp_seconds", Gauge, "When the counters below were read from PF, in Unix seconds.", nil},
		{"pfwarden_pf_table_entries_limit", Gauge, "Addresses that all of PF's tables may hold together.", nil},
		{"pfwarden_pf_table_addresses", Gauge, "Addresses in the table, as reported by PF.", []string{"table"}},
		{"pfwarden_pf_table_packets_total", Counter, "Packets that matched the table; never goes down while pfwarden runs.", []string{"table", "direction", "action"}},
		{"pfwarden_pf_table_bytes_total", Counter, "Bytes of packets that matched the table; never goes down while pfwarden runs.", []string{"table", "direction", "action"}},
		{"pfwarden_pf_address_packets_total", Counter, "Packets of one address since it was banned, for the addresses with most packets.", []string{"address", "table", "direction", "action"}},
		{"pfwarden_pf_address_bytes_total", Counter, "Bytes of one address since it was banned, for the addresses with most packets.", []string{"address", "table", "direction", "action"}},
		{"pfwarden_pf_addresses_not_shown", Gauge, "Addresses of the table that have no series of their own.", []string{"table"}},

		// Commands of a fail2ban folder's actions.
		{"pfwarden_action_runs_total", Counter, "Operations (start, ban, unban, stop …) that actions of a fail2ban folder carried out or tried to, by operation.", []string{"operation"}},
		{"pfwarden_action_failures_total", Counter, "Those of these operations that failed for good, by operation.", []string{"operation"}},
		{"pfwarden_action_queue_length", Gauge, "Operations that wait to be run.", nil},
		{"pfwarden_action_dropped_total", Counter, "Operations dropped because their queue was full.", nil},

		// The process.
		{"pfwarden_clock_steps_total", Counter, "Times that the machine's clock was stepped by 10 seconds or more, or was behind the ledger at start, by direction.", []string{"direction"}},
		{"pfwarden_ledger_errors_total", Counter, "Errors of the ledger's database, by operation.", []string{"operation"}},
		{"pfwarden_ledger_size_bytes", Gauge, "Size of the ledger's files.", nil},
		{"pfwarden_last_snapshot_timestamp_seconds", Gauge, "When the detector was last saved together with the log positions, in Unix seconds; 0 = never.", nil},
		{"pfwarden_config_last_reload_successful", Gauge, "Whether the last attempt to load the configuration was accepted.", nil},
		{"pfwarden_config_last_reload_success_timestamp_seconds", Gauge, "When a configuration was last accepted, in Unix seconds.", nil},
		{"pfwarden_paused", Gauge, "Whether banning is paused by an administrator.", nil},
		{"pfwarden_observe", Gauge, "Whether pfwarden only decides and reports, and never touches PF.", nil},
		{"pfwarden_health", Gauge, "Health items: 1 = as it should be, 0 = see /healthz.", []string{"item"}},
		{"pfwarden_label_overflow_total", Counter, "Label values beyond the limit of their label, which were counted as \"other\".", []string{"label"}},
		{"pfwarden_build_info", Gauge, "Always 1; the labels describe the build.", []string{"version", "goversion", "goos", "capture"}},
	}
}
