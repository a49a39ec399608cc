"""Audience and consent: who is recognised, what they allow, what shops tell, what is kept and for how long."""

from typing import Final

from helm.panels.sketch import (
    Panel,
    Query,
    Section,
    Sheet,
    age,
    by,
    counters,
    figure,
    gauges,
    now,
    rate,
    share,
)

SHEET: Final = Sheet(
    uid="paceline-audience",
    title="Paceline / Audience and consent",
    about="Who is recognised, what people allow, what shops tell, and that nothing is kept too long.",
    sections=(
        Section(
            "Now",
            (
                figure(
                    "Recognised, of those looked for",
                    share(rate("paceline_people_found_total"), rate("paceline_people_asked_total")),
                    "percentunit",
                ),
                figure(
                    "Bid requests that allow personal bids",
                    share(
                        rate("paceline_consent_total", where='outcome="personal"'),
                        rate("paceline_consent_total"),
                    ),
                    "percentunit",
                ),
                figure("Retention violations", now("paceline_retention_violations", of="sum"), red_above=0),
                figure(
                    "Since the last retention sweep",
                    age("paceline_retention_sweep_timestamp_seconds"),
                    "s",
                    red_above=93_600,
                ),
                figure("Erasures that wait for files", now("paceline_events_erasures_waiting", of="sum")),
                figure(
                    "Events that wait for the disk", now("paceline_events_queue_bytes", of="sum"), "bytes"
                ),
            ),
        ),
        Section(
            "Recognition and consent",
            (
                by("Consent by law", "paceline_consent_total", "regime", "outcome"),
                counters(
                    "People looked for, found, opted out",
                    ("paceline_people_asked_total", "looked for"),
                    ("paceline_people_found_total", "found"),
                    ("paceline_people_opted_out_total", "opted out"),
                ),
                by("Choices on our pages", "paceline_choices_total", "choice"),
                by("Cookie syncs", "paceline_syncs_total", "exchange", "result"),
                by("Our id handed to exchanges", "paceline_syncs_sent_total", "exchange", "way"),
                by("Uploaded matches", "paceline_match_uploads_total", "exchange", "result"),
            ),
        ),
        Section(
            "Shops",
            (
                by("Shop events", "paceline_shop_events_total", "advertiser", "kind", "source"),
                by("Refused", "paceline_shop_events_refused_total", "advertiser", "reason"),
                by("What became of their people", "paceline_shop_people_total", "advertiser", "person"),
                by(
                    "Fields dropped",
                    "paceline_shop_fields_dropped_total",
                    "advertiser",
                    "field",
                    about="An e-mail address or a phone number stood in them: tell the shop.",
                ),
                counters(
                    "Repeated events, visits written again",
                    ("paceline_shop_events_repeated_total", "repeated"),
                    ("paceline_visitor_conflicts_total", "written again: somebody came first"),
                ),
                by("Visits written", "paceline_visitors_total", "result"),
            ),
        ),
        Section(
            "Catalogues and ads of products",
            (
                Panel(
                    title="Since a feed was last good",
                    queries=(Query(now("paceline_catalogue_age_seconds", "advertiser"), "{{advertiser}}"),),
                    unit="s",
                ),
                Panel(
                    title="Catalogue in use since",
                    queries=(
                        Query(
                            "time() - max by (advertiser) (paceline_catalogue_loaded_timestamp_seconds)",
                            "{{advertiser}}",
                        ),
                    ),
                    unit="s",
                ),
                by("Looks at feeds", "paceline_feed_refreshes_total", "result"),
                counters(
                    "Bad lines, refused versions",
                    ("paceline_feed_bad_lines_total", "lines skipped"),
                    ("paceline_catalogue_refusals_total", "versions refused"),
                ),
                by("Ads drawn", "paceline_renders_total", "what"),
                by("Their people", "paceline_render_people_total", "result"),
                Panel(
                    title="Click rate by layout",
                    queries=(
                        Query(
                            share(
                                rate("paceline_layout_clicks_total", "layout"),
                                rate("paceline_layout_views_total", "layout"),
                            ),
                            "{{layout}}",
                        ),
                    ),
                    unit="percentunit",
                ),
                counters(
                    "Layout counts not exchanged", ("paceline_layout_exchanges_failed_total", "failures")
                ),
            ),
        ),
        Section(
            "Views and caps",
            (
                by("What notices told of views", "paceline_sightings_total", "verb", "result"),
                counters(
                    "Views that the store did not take",
                    ("paceline_sightings_failures_total", "calls without an answer"),
                    ("paceline_sightings_refused_total", "calls refused for good"),
                    ("paceline_frequency_repeated_total", "ends kept for later"),
                    ("paceline_frequency_lost_total", "ends given up"),
                ),
                counters("Batches ended", ("paceline_frequency_ends_total", "people")),
            ),
        ),
        Section(
            "What is recorded",
            (
                by("Events", "paceline_events_recorded_total", "kind"),
                by("Not recorded", "paceline_events_dropped_total", "kind", "reason"),
                gauges(
                    "Segments on disk",
                    ("paceline_events_segment_bytes", "bytes"),
                    unit="bytes",
                ),
                gauges("Segments that wait to be compacted", ("paceline_events_segments", "segments")),
                counters(
                    "Compaction",
                    ("paceline_events_compacted_total", "read"),
                    ("paceline_events_late_total", "too late: dropped"),
                    ("paceline_events_bad_segments_total", "segments set aside"),
                ),
                counters(
                    "Disk",
                    ("paceline_events_written_bytes_total", "bytes written"),
                    ("paceline_events_write_failures_total", "flushes refused"),
                ),
            ),
        ),
        Section(
            "Rights and retention",
            (
                by("People erased", "paceline_erasures_total", "asked_by"),
                by("Data deletion requests", "paceline_deletion_requests_total", "result"),
                counters(
                    "What erasures removed",
                    ("paceline_erased_keys_total", "keys"),
                    ("paceline_events_erased_total", "events"),
                    ("paceline_events_anonymised_files_total", "files made nobody's by age"),
                ),
                Panel(
                    title="Retention violations by place",
                    queries=(Query(now("paceline_retention_violations", "place", of="sum"), "{{place}}"),),
                    red_above=0,
                ),
                gauges("Keys looked at by the last sweep", ("paceline_retention_swept_keys", "keys")),
                counters(
                    "Mended by sweeps",
                    ("paceline_retention_mended_total", "keys given an end"),
                    ("paceline_retention_pruned_total", "parts of people removed by age"),
                ),
            ),
        ),
    ),
)
