//! Extended headers: pax records and GNU long names, which describe the entry that follows.

/// What the extended headers before an entry say about it.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// The entry is a sparse file in one of the three pax forms of GNU tar.
    pub(super) sparse: bool,
    pax: bool,
    gnu: bool,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        !self.pax && !self.gnu
    }

    /// Takes the data of an extended header of type `flag`: `x`, `g`, `L` or `K`.
    ///
    /// Which one counts when two say the same differs between readers, so that is an error.
    pub(super) fn add(&mut self, flag: u8, data: Vec<u8>) -> Result<(), &'static str> {
        match flag {
            b'x' if self.pax || self.gnu => Err("an entry has more than one extended header"),
            b'x' => {
                self.pax = true;
                self.records(&data)
            }
            b'g' => {
                let mut global = Extensions::default();
                global.records(&data)?;
                if global.path.is_some() || global.link.is_some() || global.size.is_some() || global.sparse {
                    return Err("a global header names a path or size");
                }
                Ok(())
            }
            _ if self.pax => Err("an entry has more than one extended header"),
            _ => {
                self.gnu = true;
                let name = data.strip_suffix(b"\0").unwrap_or(&data).to_vec();
                set(if flag == b'L' { &mut self.path } else { &mut self.link }, name)
            }
        }
    }

    fn records(&mut self, data: &[u8]) -> Result<(), &'static str> {
        for record in PaxRecords(data) {
            let (key, value) = record?;
            match key {
                b"path" => set(&mut self.path, value.to_vec())?,
                b"linkpath" => set(&mut self.link, value.to_vec())?,
                b"size" => {
                    let size = decimal(value).ok_or("a pax size is not a number")?;
                    if self.size.replace(size).is_some() {
                        return Err(TWICE);
                    }
                }
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The records of a pax header, `LENGTH KEY=VALUE\n` where the length counts all of it, as keys and values. Ends with
/// the first that is malformed.
pub(crate) struct PaxRecords<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for PaxRecords<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let data = std::mem::take(&mut self.0);
        if data.is_empty() {
            return None;
        }
        let record = first_record(data).ok_or("a pax record is malformed");
        Some(record.map(|(key, value, rest)| {
            self.0 = rest;
            (key, value)
        }))
    }
}

/// Key and value of the first record, and what follows it.
fn first_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = data.iter().position(|byte| *byte == b' ').filter(|digits| *digits > 0)?;
    let length = decimal(&data[..digits]).and_then(|length| usize::try_from(length).ok())?;
    if length <= digits + 1 || length > data.len() || data[length - 1] != b'\n' {
        return None;
    }
    let record = &data[digits + 1..length - 1];
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &data[length..]))
}

const TWICE: &str = "two extended headers say the same of one entry";

fn set(slot: &mut Option<Vec<u8>>, value: Vec<u8>) -> Result<(), &'static str> {
    if value.is_empty() {
        // In POSIX this takes the value back, which hardly any reader does.
        return Err("a name in an extended header is empty");
    }
    if slot.replace(value).is_some() { Err(TWICE) } else { Ok(()) }
}

pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pax(data: &[u8]) -> Result<Extensions, &'static str> {
        let mut extensions = Extensions::default();
        extensions.add(b'x', data.to_vec()).map(|()| extensions)
    }

    #[test]
    fn records_are_cut_by_length_not_by_line() {
        let extensions = pax(b"13 path=a\nb=c\n25 mtime=1700000000.1234\n11 size=12\n").err();
        assert_eq!(extensions, Some("a pax record is malformed"), "the first length is one short");
        let extensions = pax(b"14 path=a\nb=c\n26 mtime=1700000000.12345\n11 size=12\n").unwrap();
        assert_eq!(extensions.path.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!(extensions.size, Some(12));
        assert!(!extensions.sparse && !extensions.is_empty());
    }

    #[test]
    fn malformed_records_are_refused() {
        for data in [
            &b"x"[..],
            b" path=a\n",
            b"-9 path=a\n",
            b"9 path=ab\n",
            b"99 path=a\n",
            b"7 patha\n",
            b"2 \n",
            b"99999999999999999999999 path=a\n",
            b"11 size=-2\n",
            b"8 size=\n",
            b"8 path=\n",
            b"10 path=a\n10 path=b\n",
        ] {
            assert!(pax(data).is_err(), "{}", String::from_utf8_lossy(data));
        }
        assert!(pax(b"").unwrap().path.is_none());
    }

    #[test]
    fn contradictions_are_refused() {
        let mut extensions = pax(b"10 path=a\n").unwrap();
        assert!(extensions.add(b'L', b"b\0".to_vec()).is_err());
        assert!(extensions.add(b'x', Vec::new()).is_err());
        let mut extensions = Extensions::default();
        extensions.add(b'L', b"b\0".to_vec()).unwrap();
        extensions.add(b'K', b"c".to_vec()).unwrap();
        assert_eq!(
            (extensions.path.as_deref(), extensions.link.as_deref()),
            (Some(&b"b"[..]), Some(&b"c"[..]))
        );
        assert!(extensions.add(b'L', b"b\0".to_vec()).is_err());
        let mut extensions = Extensions::default();
        assert!(extensions.add(b'g', b"13 comment=x\n".to_vec()).is_ok());
        assert!(extensions.is_empty());
        assert!(extensions.add(b'g', b"10 path=a\n".to_vec()).is_err());
        assert!(pax(b"22 GNU.sparse.major=1\n").unwrap().sparse);
    }
}
