//! Lines for a terminal: the time in UTC to the second, and each transition of a rotation as one readable line.

use std::collections::BTreeMap;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::domain::sanitize::one_line;

/// The time of day in UTC, such as `10:32:07`.
pub(super) struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut rfc_3339 = String::new();
        SystemTime.format_time(&mut Writer::new(&mut rfc_3339))?;
        writer.write_str(rfc_3339.get(11..19).unwrap_or(&rfc_3339))
    }
}

/// The fields of an event by their names.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// The line of a rotation's transition, without its time; `None` for any other event.
pub(super) fn transition(event: &Event<'_>, colours: bool) -> Option<String> {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let text = |name: &str| fields.0.get(name).map(|text| one_line(text));
    let (credential, rotation) = (text("credential")?, text("rotation")?);
    let (name, from, to) = (text("event")?, text("from")?, text("to")?);
    let what = match (text("failure"), text("reason")) {
        (Some(failure), _) => format!("{from}: failed, will retry: {failure}"),
        (None, Some(reason)) => {
            format!("{from} -> {to}: {reason}: {}", text("detail").unwrap_or_default())
        }
        (None, None) if from == to => format!("{to}: {name}"),
        (None, None) if from == "none" => format!("-> {to}"),
        (None, None) => format!("{from} -> {to}"),
    };
    Some(if colours {
        let colour = match *event.metadata().level() {
            Level::ERROR => "1;31",
            Level::WARN => "33",
            Level::INFO | Level::DEBUG | Level::TRACE => "32",
        };
        format!(
            "\x1b[1m{credential:<12}\x1b[0m \x1b[{colour}m{what}\x1b[0m \x1b[2m(rotation {rotation})\x1b[0m"
        )
    } else {
        format!("{credential:<12} {what} (rotation {rotation})")
    })
}
