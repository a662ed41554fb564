//! An explanation as people read it.

use super::{Available, Explanation, Nearest};
use std::fmt;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(chosen) => self.hit(chosen, f)?,
            None => match &self.unclear {
                Some(unclear) => {
                    unclear.clone().error(self.spec.clone(), self.mirrors.join(", ")).fmt(f)?;
                }
                None => self.miss(f)?,
            },
        }
        // At a miss the first line has said so, but not why.
        for unasked in &self.unasked {
            write!(f, "\nmirror {} could not be asked: {}", unasked.mirror, unasked.reason)?;
        }
        for remembered in &self.remembered {
            let packages = remembered.packages.join(", ");
            write!(f, "\nas of {} mirror {} had {packages}", remembered.as_of, remembered.mirror)?;
            if remembered.more > 0 {
                write!(f, " and {} more", remembered.more)?;
            }
        }
        Ok(())
    }
}

impl Explanation {
    fn hit(&self, chosen: &Available, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, {}", self.spec, chosen.package, whereabouts(chosen))?;
        write!(f, "\n  {}", chosen.spec)?;
        if !self.others.is_empty() {
            let count = self.others.len() + self.more_others;
            write!(f, "\n{} could be used:", count_of(count, "other", "others"))?;
            for other in &self.others {
                write!(f, "\n  {}: {}", other.package, other.reason)?;
            }
            more(self.more_others, f)?;
        }
        if !self.nearest.is_empty() {
            let count = count_of(self.shown_and_more(), "other matches", "others match");
            write!(f, "\n{count}, and cannot be used here:")?;
            self.list(f)?;
        }
        Ok(())
    }

    fn miss(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.mirrors.join(", ");
        if self.is_uncertain() {
            let unasked: Vec<&str> = self.unasked.iter().map(|unasked| unasked.mirror.as_str()).collect();
            write!(f, "cannot tell whether there is a binary of `{}`: ", self.spec)?;
            write!(f, "{} could not be asked", unasked.join(", "))?;
            if self.mirrors.is_empty() {
                return Ok(());
            }
            write!(f, ", and {places} has none that can be used")?;
        } else if self.nearest.first().is_some_and(|nearest| nearest.is_match()) {
            write!(f, "no binary of `{}` in {places} can be used here", self.spec)?;
        } else {
            write!(f, "no spec matches `{}` in {places}", self.spec)?;
        }
        if !self.similar.is_empty() {
            let names: Vec<String> = self.similar.iter().map(|name| format!("`{name}`")).collect();
            return write!(f, "\nthere is no package of that name; did you mean {}?", names.join(" or "));
        }
        if self.nearest.is_empty() {
            let nothing = "nothing there has that name or provides it";
            return if self.is_named { write!(f, "\n{nothing}") } else { Ok(()) };
        }
        write!(f, "\nnearest of {}:", count_of(self.of_the_kind, "candidate", "candidates"))?;
        self.list(f)
    }

    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.nearest {
            write!(f, "\n  {}", line(group))?;
        }
        more(self.more, f)
    }

    fn shown_and_more(&self) -> usize {
        self.nearest.iter().map(|group| 1 + group.alike).sum::<usize>() + self.more
    }
}

/// `zlib@1.3/abcdefg and 3 like it: version 1.3, asked for @1.4:`
fn line(group: &Nearest) -> String {
    let alike = match group.alike {
        0 => String::new(),
        alike => format!(" and {alike} like it"),
    };
    format!("{}{alike}: {}", group.package, group.reasons.join("; "))
}

fn more(count: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if count > 0 { write!(f, "\n  and {count} more") } else { Ok(()) }
}

fn whereabouts(chosen: &Available) -> String {
    let cached = (!chosen.mirrors.is_empty()).then(|| format!("cached in {}", chosen.mirrors.join(", ")));
    let installed = chosen.installed.then(|| "installed".to_owned());
    let parts: Vec<String> = installed.into_iter().chain(cached).collect();
    if parts == ["installed"] { "installed and in no mirror".to_owned() } else { parts.join(" and ") }
}

fn count_of(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
