//! `strata image inspect`.

use crate::args::image::Inspect;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, bytes, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::fmt::Write;
use std::sync::Arc;
use strata_oci::ManifestRef;
use strata_ops::image::inspect::{
    Compared, Holds, ImageReport, InspectRequest, Inspection, Kind, LayerReport, inspect as look_at,
};
use strata_ops::mirror::Direction;

/// How many names of packages, and characters of how a layer was made, a line has room for.
const PACKAGES: usize = 3;
const CREATED_BY: usize = 60;
/// The longest variable that is shown whole, and how many entries are shown of a longer one.
const LINE: usize = 100;
const ENTRIES: usize = 2;

/// Says what is in an image.
pub(crate) fn inspect(
    args: &Inspect,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let registries = Registries::new(settings, console)?;
    let repository = registries.open(&args.reference.repository().to_string(), Direction::Fetch)?;
    let request = InspectRequest {
        reference: &args.reference,
        platform: args.platform.as_ref(),
        shared: !args.no_shared,
    };
    let inspection = look_at(&*repository, &request, &**console)?;
    let is_tag = matches!(args.reference.manifest(), ManifestRef::Tag(_));
    Ok(Outcome::new(text(&inspection, is_tag), &inspection)?)
}

/// `is_tag`: whether it was asked for by its tag, which has its layers, too.
fn text(inspection: &Inspection, is_tag: bool) -> String {
    let mut text = format!("{}\n", inspection.reference);
    if inspection.kind == Kind::Index {
        let others = match inspection.others {
            0 => String::new(),
            1 => ", and 1 entry of no platform".to_owned(),
            count => format!(", and {count} entries of no platform"),
        };
        let platforms: Vec<&str> = inspection.images.iter().map(|image| image.platform.as_str()).collect();
        field(&mut text, "index", format!("{}{others}", platforms.join(", ")));
        field(&mut text, "digest", &inspection.digest);
    }
    for image in &inspection.images {
        if inspection.kind == Kind::Index {
            text.push('\n');
        }
        describe(image, inspection.compared_with, is_tag, &mut text);
    }
    text
}

fn describe(image: &ImageReport, compared: Option<Compared>, is_tag: bool, text: &mut String) {
    let kind = if image.kind == Kind::Package { "package" } else { "image" };
    let description = image.description.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
    field(text, kind, format!("{}{description}", image.platform));
    field(text, "digest", &image.digest);
    if let Some(base) = &image.base {
        let name = base.name.as_deref().unwrap_or("unknown");
        let digest = base.digest.as_ref().map(|digest| format!(" {digest}")).unwrap_or_default();
        field(text, "base", format!("{name}{digest}"));
    }
    if let Some(created) = &image.created {
        field(text, "created", created);
    }
    field(text, "size", size(image, compared, if is_tag { "other tag" } else { "tag" }));
    let missing = image.missing.join(", ");
    match (image.complete, image.packages) {
        (Some(true), count) => field(text, "complete", format!("yes, {}", packages(count))),
        (Some(false), _) => field(text, "complete", format!("no, it lacks {missing}")),
        (None, 0) => {}
        (None, count) => field(text, "complete", format!("unknown, {}", packages(count))),
    }
    for (name, words) in [("entrypoint", &image.entrypoint), ("cmd", &image.cmd)] {
        if !words.is_empty() {
            field(text, name, serde_json::to_string(words).unwrap_or_default());
        }
    }
    for (name, value) in [("workdir", &image.workdir), ("user", &image.user)] {
        if let Some(value) = value {
            field(text, name, value);
        }
    }
    for (at, variable) in image.env.iter().enumerate() {
        field(text, if at == 0 { "env" } else { "" }, shortened(variable));
    }
    for (at, (name, value)) in image.labels.iter().enumerate() {
        field(text, if at == 0 { "labels" } else { "" }, format!("{name}={value}"));
    }
    table(&image.layers, is_tag, text);
}

/// A list of many directories by its first ones: the environment of an image can have hundreds.
fn shortened(variable: &str) -> String {
    let entries: Vec<&str> = variable.split(':').collect();
    if variable.len() <= LINE || entries.len() <= ENTRIES {
        return variable.to_owned();
    }
    format!("{}:… ({} entries)", entries[..ENTRIES].join(":"), entries.len())
}

fn field(text: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(text, "  {name:<10} {value}").ok();
}

/// `12 layers, 48.0 MB; 1.2 MB of it only here (30 other tags looked at)`
fn size(image: &ImageReport, compared: Option<Compared>, tag: &str) -> String {
    let count = image.layers.len();
    let layers = if count == 1 { "1 layer".to_owned() } else { format!("{count} layers") };
    let mut size = format!("{layers}, {}", bytes(image.size));
    if let (Some(unshared), Some(compared)) = (image.unshared, compared) {
        let tags = match compared.of {
            0 => return format!("{size}; there is no {tag}"),
            1 if compared.tags == 1 => format!("1 {tag}"),
            of if of == compared.tags => format!("{of} {tag}s"),
            of => format!("{} of {of} {tag}s", compared.tags),
        };
        match unshared {
            0 => write!(size, "; all of it shared ({tags} looked at)").ok(),
            unshared => write!(size, "; {} of it only here ({tags} looked at)", bytes(unshared)).ok(),
        };
    }
    size
}

fn table(layers: &[LayerReport], is_tag: bool, text: &mut String) {
    let with_tags = layers.iter().any(|layer| layer.shared_with.is_some());
    let tags = if with_tags { "  tags" } else { "" };
    writeln!(text, "\n  {:<19} {:>10}{tags}  holds", "layer", "size").ok();
    for layer in layers {
        let digest = layer.digest.get(..19).unwrap_or(&layer.digest);
        let tags = match &layer.shared_with {
            Some(others) => format!("  {:>4}", others.len() + usize::from(is_tag)),
            None => String::new(),
        };
        writeln!(text, "  {digest:<19} {:>10}{tags}  {}", bytes(layer.size), holds(layer)).ok();
    }
}

fn holds(layer: &LayerReport) -> String {
    let made = || {
        let text: String =
            layer.created_by.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(CREATED_BY) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    };
    match layer.holds {
        Holds::View => "view".to_owned(),
        Holds::Base => format!("base  {}", made()).trim_end().to_owned(),
        Holds::Unknown => Some(made()).filter(|text| !text.is_empty()).unwrap_or_else(|| "?".to_owned()),
        Holds::Packages => {
            let shown =
                layer.packages.iter().take(PACKAGES).map(String::as_str).collect::<Vec<_>>().join(", ");
            match layer.packages.len().saturating_sub(PACKAGES) {
                0 => shown,
                more => format!("{shown} and {more} more"),
            }
        }
    }
}
