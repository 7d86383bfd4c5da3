//! Structured logs on standard error, in the encodings Flux has.

use anyhow::bail;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Starts logging at `level` (error, info, debug, trace), as `json` or for the `console`.
pub(crate) fn start(encoding: &str, level: &str) -> anyhow::Result<()> {
    let level = match level {
        "error" | "info" | "debug" | "trace" => level,
        other => bail!("--log-level: {other:?} is none of error, info, debug, trace"),
    };
    // Libraries below speak up only when something is wrong.
    let filter = EnvFilter::new(format!(
        "warn,borax={level},borax_controllers={level},borax_kubeio={level},borax_reconcile={level},borax_source={level},borax_artifact={level}"
    ));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match encoding {
        "json" => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_timer(Utc)
            .init(),
        "console" => builder.with_target(false).with_timer(Utc).init(),
        other => bail!("--log-encoding: {other:?} is neither json nor console"),
    }
    Ok(())
}

/// The time to the millisecond, in RFC 3339 and UTC.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}
