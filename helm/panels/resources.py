"""Resources: processes, memory, files, restarts, chores, and what an operator did."""

from typing import Final

from helm.panels.sketch import Panel, Query, Section, Sheet, age, by, counters, figure, gauges, now, rate

SHEET: Final = Sheet(
    uid="paceline-resources",
    title="Paceline / Resources",
    about="What the processes use, which were started again, whether chores are done and files are in order.",
    sections=(
        Section(
            "Now",
            (
                figure("Cores used", rate("paceline_process_cpu_seconds_total")),
                figure("Memory", now("paceline_process_resident_memory_bytes", of="sum"), "bytes"),
                figure(
                    "Memory, of what there may be",
                    f"max(sum by (instance) (paceline_process_resident_memory_bytes)"
                    f" / on (instance) {now('paceline_memory_limit_bytes', 'instance')})",
                    "percentunit",
                    red_above=0.9,
                ),
                figure("Workers failing", now("paceline_workers_failing", of="sum"), red_above=0),
                figure("Bookkeeper", now("paceline_bookkeeper_up", of="min"), red_below=1),
                figure("Caretaker", now("paceline_caretaker_up", of="min"), red_below=1),
            ),
        ),
        Section(
            "Processes",
            (
                by("Cores by process", "paceline_process_cpu_seconds_total", "process", unit="short"),
                Panel(
                    title="Memory by process",
                    queries=(
                        Query(
                            now("paceline_process_resident_memory_bytes", "process", of="sum"), "{{process}}"
                        ),
                    ),
                    unit="bytes",
                    kind="stack",
                ),
                Panel(
                    title="Open files, of what there may be",
                    queries=(
                        Query(
                            "max by (process) (paceline_process_open_fds / paceline_process_max_fds)",
                            "{{process}}",
                        ),
                    ),
                    unit="percentunit",
                    red_above=0.9,
                ),
                Panel(
                    title="Up since",
                    queries=(
                        Query(
                            "time() - max by (process) (paceline_process_start_time_seconds)", "{{process}}"
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    title="Workers by slot",
                    queries=(Query(now("paceline_worker_up", "instance", "slot"), "{{instance}} {{slot}}"),),
                ),
                counters(
                    "Started again",
                    ("paceline_worker_restarts_total", "workers that died"),
                    ("paceline_workers_hung_total", "workers that hung"),
                    ("paceline_bookkeeper_restarts_total", "bookkeeper"),
                    ("paceline_caretaker_restarts_total", "caretaker"),
                    ("paceline_store_restarts_total", "embedded people's store"),
                    ("paceline_ledger_restarts_total", "embedded ledger"),
                ),
            ),
        ),
        Section(
            "Campaigns and files",
            (
                Panel(
                    title="Age of the live campaigns",
                    queries=(
                        Query(age("paceline_campaigns_loaded_timestamp_seconds", "instance"), "{{instance}}"),
                    ),
                    unit="s",
                ),
                gauges(
                    "A reload failed",
                    ("paceline_campaigns_reload_failed", "1: the last good ones stay"),
                    red_above=0,
                ),
                Panel(
                    title="What predicts response rates",
                    queries=(Query(now("paceline_model_info", "kind"), "{{kind}}"),),
                ),
            ),
        ),
        Section(
            "Chores",
            (
                Panel(
                    title="Since a chore was last done",
                    queries=(
                        Query(age("paceline_chore_last_success_timestamp_seconds", "chore"), "{{chore}}"),
                    ),
                    unit="s",
                ),
                by("Failures", "paceline_chore_failures_total", "chore"),
                by("Time spent", "paceline_chore_seconds_total", "chore", unit="s"),
            ),
        ),
        Section(
            "Operation",
            (
                by("Actions on the operators' port", "paceline_admin_actions_total", "action", "result"),
                Panel(
                    title="What runs",
                    queries=(
                        Query(
                            now("paceline_build_info", "version", "python", of="count"),
                            "{{version}} on {{python}}",
                        ),
                    ),
                ),
                counters(
                    "Planned replacement of workers",
                    ("paceline_worker_rolling_restarts_total", "replaced"),
                    ("paceline_worker_rolling_restart_failures_total", "failed: the old one stays"),
                    ("paceline_worker_rolling_restarts_refused_total", "refused: one is under way"),
                ),
                gauges("Replacement under way", ("paceline_worker_rolling_restart_running", "1: it runs")),
                Panel(
                    title="TLS certificates run out in",
                    queries=(
                        Query(
                            "min by (port) (paceline_tls_expiry_timestamp_seconds > 0) - time()", "{{port}}"
                        ),
                    ),
                    unit="s",
                    about="Ports without TLS are left out.",
                    red_below=14 * 86_400,
                ),
                counters(
                    "TLS handshakes that failed",
                    ("paceline_tls_handshakes_failed_total", "failed"),
                ),
                gauges(
                    "TLS files cannot be used",
                    ("paceline_tls_reload_failed", "1: the last good ones stay"),
                    red_above=0,
                ),
                counters("Series without room", ("paceline_series_overflow_total", "counts"), red_above=0),
            ),
        ),
    ),
)
