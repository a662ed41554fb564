//! `strata mark`.

use super::{specs, store};
use crate::args::store::Mark;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::settings::Settings;
use serde_json::json;

/// Marks installed packages as asked for, or as only needed by others.
pub(crate) fn mark(args: &Mark, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let store = store(settings)?;
    let marked = strata_ops::mark::mark(&store, &specs(&args.specs)?, args.all, args.explicit)?;
    let how = if args.explicit { "explicit" } else { "implicit" };
    let already = match marked.unchanged.len() {
        0 => String::new(),
        count => format!("; {} marked so already", packages(count)),
    };
    let text = format!("marked {} as {how}{already}\n", packages(marked.changed.len()));
    Ok(Outcome::new(
        text,
        &json!({"marked": marked.changed, "unchanged": marked.unchanged, "explicit": args.explicit}),
    )?)
}
