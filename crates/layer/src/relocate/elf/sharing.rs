//! Who else uses the bytes of the RPATH in the dynamic string table.
//!
//! Linkers merge a string into the tail of a longer one in `.dynstr` too: a symbol called `lib` may be the last
//! three bytes of `/opt/zlib/lib`. Shortening that RPATH in place, as Spack and patchelf do, would rename the
//! symbol.

use super::image::Image;
use super::layout::Layout;
use super::parse::{DT_NEEDED, DT_SONAME, DT_STRTAB, Elf, Rpath, StringTable};

const DT_HASH: u64 = 4;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_CONFIG: u64 = 0x6fff_fefa;
const DT_DEPAUDIT: u64 = 0x6fff_fefb;
const DT_AUDIT: u64 = 0x6fff_fefc;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_AUXILIARY: u64 = 0x7fff_fffd;
const DT_FILTER: u64 = 0x7fff_ffff;
const SHT_DYNSYM: u32 = 11;

/// The first byte of the RPATH (counted from its start) that some other string also uses; 0 if the RPATH is itself
/// the tail of, or the same as, another string in use; `None` if it is the RPATH's alone.
pub(super) fn first_shared_byte(
    elf: &Elf,
    image: &impl Image,
    strings: &StringTable,
    rpath: &Rpath,
) -> Option<usize> {
    let table = strings.range.start;
    let (start, end) = (rpath.range.start - table, rpath.range.end - table);
    // A string that begins before the RPATH and runs on into it begins after the NUL before the RPATH.
    let earliest = image.last_nul(table..rpath.range.start).map_or(0, |nul| nul + 1 - table);
    let mut first = None;
    for_each_reference(elf, image, |at| {
        if let Some(at) = usize::try_from(at).ok().filter(|at| (earliest..end).contains(at)) {
            let shared = at.saturating_sub(start);
            first = Some(first.map_or(shared, |first: usize| first.min(shared)));
        }
    });
    first
}

/// Hands over the offsets into the dynamic string table of all strings but the RPATH: dynamic entries, symbols, versions.
fn for_each_reference(elf: &Elf, image: &impl Image, mut found: impl FnMut(u64)) {
    let names = [DT_NEEDED, DT_SONAME, DT_CONFIG, DT_DEPAUDIT, DT_AUDIT, DT_AUXILIARY, DT_FILTER];
    elf.dynamic.iter().filter(|entry| names.contains(&entry.tag)).for_each(|entry| found(entry.value));
    symbols(elf, image).for_each(&mut found);
    for_each_version(elf, image, found);
}

/// The names of the dynamic symbols.
fn symbols(elf: &Elf, image: &impl Image) -> impl Iterator<Item = u64> {
    let layout = elf.layout;
    let table = elf.value_of(DT_SYMTAB).and_then(|address| elf.offset_of(address));
    let start = table.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(image.size());
    (0..symbol_count(elf, image))
        .map_while(move |index| layout.u32(image, start.checked_add(index * layout.symbol_size())?))
        .map(u64::from)
}

/// How many dynamic symbols there are: nothing says so directly once section headers are stripped.
fn symbol_count(elf: &Elf, image: &impl Image) -> usize {
    let Some(address) = elf.value_of(DT_SYMTAB) else { return 0 };
    let size = elf.layout.symbol_size() as u64;
    let by_section = elf
        .sections
        .iter()
        .find(|(_, section)| section.kind == SHT_DYNSYM && section.address == address)
        .map(|(_, section)| section.size / size);
    let count = by_section
        .or_else(|| {
            let table = elf.offset_of(elf.value_of(DT_HASH)?)?;
            elf.layout.u32(image, usize::try_from(table).ok()?.checked_add(4)?).map(u64::from)
        })
        .or_else(|| {
            let table = elf.offset_of(elf.value_of(DT_GNU_HASH)?)?;
            gnu_hash_count(elf.layout, image, usize::try_from(table).ok()?)
        })
        // Every linker puts the strings right behind the symbols.
        .or_else(|| Some(elf.value_of(DT_STRTAB)?.checked_sub(address)? / size));
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(image.size())
}

/// The number of symbols by the DT_GNU_HASH table at an offset: one past the end of the chain of the highest bucket.
fn gnu_hash_count(layout: Layout, image: &impl Image, table: usize) -> Option<u64> {
    let field = |index: usize| layout.u32(image, table.checked_add(index.checked_mul(4)?)?);
    let buckets = usize::try_from(field(0)?).ok()?;
    let first_symbol = field(1)?;
    let bloom_words = usize::try_from(field(2)?).ok()?.checked_mul(layout.pick(2, 1))?;
    let bucket_at = bloom_words.checked_add(4)?;
    let chain_at = bucket_at.checked_add(buckets)?;
    let mut highest = first_symbol;
    for index in bucket_at..chain_at {
        highest = highest.max(field(index)?);
    }
    if highest == first_symbol && buckets == 0 {
        return Some(u64::from(first_symbol));
    }
    let mut symbol = highest;
    while field(chain_at.checked_add(usize::try_from(symbol.checked_sub(first_symbol)?).ok()?)?)? & 1 == 0 {
        symbol = symbol.checked_add(1)?;
    }
    Some(u64::from(symbol) + 1)
}

/// Hands over the names of needed and defined versions, and of the files that versions are needed from.
fn for_each_version(elf: &Elf, image: &impl Image, mut found: impl FnMut(u64)) {
    // (tag, field with the first auxiliary entry, field with the next entry, name of the entry itself,
    //  in an auxiliary entry: its name, the next one). gABI extension of Sun, as in the Linux Standard Base.
    let tables = [(DT_VERNEED, 8, 12, Some(4), 8, 12), (DT_VERDEF, 12, 16, None, 0, 4)];
    let mut names = 0;
    for (tag, first, next, own_name, auxiliary_name, auxiliary_next) in tables {
        let start = elf.value_of(tag).and_then(|address| elf.offset_of(address));
        let Some(mut at) = start.and_then(|offset| usize::try_from(offset).ok()) else { continue };
        let field = |at: usize, field: usize| elf.layout.u32(image, at.checked_add(field)?);
        // Steps only go forward; a table cannot have more names than the file has bytes.
        while names < image.size() {
            if let Some(name) = own_name.and_then(|name| field(at, name)) {
                found(u64::from(name));
                names += 1;
            }
            let mut auxiliary = field(at, first).map_or(usize::MAX, |step| at.saturating_add(step as usize));
            while let Some(name) = field(auxiliary, auxiliary_name)
                && names < image.size()
            {
                found(u64::from(name));
                names += 1;
                match field(auxiliary, auxiliary_next) {
                    Some(step) if step > 0 => auxiliary = auxiliary.saturating_add(step as usize),
                    _ => break,
                }
            }
            match field(at, next) {
                Some(step) if step > 0 => at = at.saturating_add(step as usize),
                _ => break,
            }
        }
    }
}
