//! ELF files whose RPATH or interpreter has to grow: they must load, run, and survive `strip`.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use strata_layer::BuildInfo;
use strata_layer::relocate::{Destination, Platform, PrefixMap, Relocated, relocate_tree};
use strata_testkit::golden;

/// Two libraries and a program, one needing the other, in a short place, with RPATHs to it.
struct Sample {
    directory: tempfile::TempDir,
    info: BuildInfo,
}

const DEEP: &str = "library.c:int deep(void) { return 40; }";
const MIDDLE: &str = "library.c:int deep(void); int middle(void) { return deep() + 1; }";
/// Reads its program headers and so depends on the kernel or loader knowing where they are.
const PROGRAM: &str = r#"program.c:
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
int middle(void);
static char zeros[BSS];
static int seen(struct dl_phdr_info *info, size_t size, void *count) {
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) (*(int *)count)++;
    return 0;
}
int main(void) {
    int loads = 0;
    for (unsigned i = 0; i < sizeof zeros; i += 512) if (zeros[i]) return 2;
    memset(zeros, 1, sizeof zeros);
    if (!dl_iterate_phdr(seen, &loads) && loads < 6) return 3;
    const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
        if (headers[i].p_type == PT_PHDR && headers[i].p_filesz != getauxval(AT_PHNUM) * sizeof *headers) return 4;
    void *again = dlopen("libmiddle.so", RTLD_NOW);
    if (!again || !dlsym(again, "middle")) return 5;
    printf("%d\n", middle() + 1);
    return 0;
}
"#;

impl Sample {
    /// `None`, visibly, if there is no C compiler.
    fn build(test: &str, flags: &[&str], bss: usize) -> Option<Sample> {
        if Command::new("cc").arg("--version").output().is_err() {
            golden::skipped(test, "no C compiler");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let short = directory.path().join("s");
        std::fs::create_dir(&short).unwrap();
        let sample = Sample {
            directory,
            info: BuildInfo {
                relocate_binaries: ["libdeep.so", "libmiddle.so", "program"].map(OsString::from).into(),
                ..BuildInfo::default()
            },
        };
        let rpath = format!("-Wl,-rpath,{}:$ORIGIN/none", short.display());
        // Compilers take the last of several flags, but not a flag for programs when they make a library.
        let program_only: Vec<&str> = flags.iter().copied().filter(|flag| *flag == "-no-pie").collect();
        let flags: Vec<&str> = flags.iter().copied().filter(|flag| *flag != "-no-pie").collect();
        let library = ["-shared", "-fPIC", rpath.as_str()];
        sample.compile(DEEP, "libdeep.so", &[&library[..], &["-Wl,-soname,libdeep.so"], &flags].concat());
        let middle = [&library[..], &["-Wl,-soname,libmiddle.so", "-L.", "-ldeep"], &flags].concat();
        sample.compile(MIDDLE, "libmiddle.so", &middle);
        let bss = format!("-DBSS={bss}");
        let program = [
            &[rpath.as_str(), &bss, "-L.", "-lmiddle", "-Wl,-rpath-link,.", "-ldl"][..],
            &flags,
            &program_only,
        ]
        .concat();
        sample.compile(PROGRAM, "program", &program);
        Some(sample)
    }

    fn short(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    fn compile(&self, source: &str, output: &str, flags: &[&str]) {
        let (name, text) = source.split_once(':').unwrap();
        std::fs::write(self.directory.path().join(name), text).unwrap();
        let source = format!("../{name}");
        let before = ["-o", output, source.as_str()];
        run(Command::new("cc").args(before).args(flags).current_dir(self.short()));
    }

    /// Moves the sample to a place whose path is `longer` bytes longer, and relocates it.
    fn move_to_long(&self, longer: usize) -> (PathBuf, Relocated) {
        let short = self.short();
        let mut long = short.clone();
        while long.as_os_str().len() + 51 < short.as_os_str().len() + longer {
            long.push("d".repeat(50));
        }
        let missing = short.as_os_str().len() + longer - long.as_os_str().len();
        let long = PathBuf::from(format!(
            "{}/{}",
            self.directory.path().join("L").join(long.strip_prefix(&short).unwrap()).display(),
            "e".repeat(missing)
        ));
        std::fs::create_dir_all(long.parent().unwrap()).unwrap();
        std::fs::rename(&short, &long).unwrap();
        let map = PrefixMap::new([(short.to_str().unwrap(), long.to_str().unwrap())]).unwrap();
        let destination = Destination { map: &map, sbang: b"/x/bin/sbang" };
        let relocated = relocate_tree(&long, &self.info, &destination, Platform::Elf).unwrap();
        (long, relocated)
    }
}

/// The standard output of a command that must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    assert!(!errors.contains("warning"), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn tool(name: &str, arguments: &[&str], file: &Path) -> String {
    run(Command::new(name).args(arguments).arg(file).env("LC_ALL", "C"))
}

/// What must be the same before and after: symbols, and dynamic entries but for the addresses and sizes of tables
/// that may move, and the path.
fn described(file: &Path) -> (String, Vec<String>) {
    let moved =
        ["(STRTAB)", "(STRSZ)", "(HASH)", "(GNU_HASH)", "(SYMTAB)", "(VERSYM)", "(VERNEED)", "(VERDEF)"];
    let entries = tool("readelf", &["-dW"], file)
        .lines()
        .filter(|line| !line.contains("Dynamic section"))
        .map(|line| match line.split_once(')') {
            Some((tag, _)) if tag.ends_with("PATH") || moved.iter().any(|moved| line.contains(moved)) => {
                tag.into()
            }
            _ => line.to_owned(),
        })
        .collect();
    (tool("nm", &["-D", "--with-symbol-versions"], file), entries)
}

fn path_entry(file: &Path) -> String {
    let entries = tool("readelf", &["-dW"], file);
    let line = entries.lines().find(|line| line.contains("PATH)")).expect("an RPATH");
    line.split(['[', ']']).nth(1).unwrap().to_owned()
}

const FILES: [&str; 3] = ["libdeep.so", "libmiddle.so", "program"];

/// Grows all three files, runs the program, strips all, and runs it again.
fn grow_run_strip_run(test: &str, flags: &[&str], bss: usize) {
    let Some(sample) = Sample::build(test, flags, bss) else { return };
    let before = FILES.map(|name| described(&sample.short().join(name)));
    let old = path_entry(&sample.short().join("program"));
    assert!(old.starts_with(sample.short().to_str().unwrap()));
    let inodes = FILES.map(|name| sample.short().join(name).metadata().unwrap().ino());
    let (long, relocated) = sample.move_to_long(230);
    assert_eq!((relocated.files_changed, relocated.elf_grown), (3, 3), "{flags:?}");
    let check = |when: &str| {
        for (name, before) in FILES.iter().zip(&before) {
            let file = long.join(name);
            assert_eq!(path_entry(&file), format!("{}:$ORIGIN/none", long.display()));
            assert_eq!(&described(&file), before, "{name} {when} {flags:?}");
            let headers = tool("readelf", &["-lSW"], &file);
            assert!(!headers.contains("Warning") && !headers.contains("Error"), "{headers}");
            let bytes = std::fs::read(&file).unwrap();
            let old = sample.short();
            assert_eq!(memchr_count(&bytes, old.to_str().unwrap()), 0, "{name} {when}: the old path is gone");
        }
        assert_eq!(tool_in(&long, "./program"), "42\n", "{when} {flags:?}");
    };
    check("after growing");
    for (name, inode) in FILES.iter().zip(inodes) {
        assert_eq!(long.join(name).metadata().unwrap().ino(), inode, "{name}: the inode stays");
    }
    check_old_kernels(&long.join("program"));
    for name in FILES {
        tool("strip", &[], &long.join(name));
    }
    check("after strip");
}

fn tool_in(directory: &Path, program: &str) -> String {
    run(Command::new(program).current_dir(directory).env_remove("LD_LIBRARY_PATH"))
}

fn memchr_count(bytes: &[u8], needle: &str) -> usize {
    bytes.windows(needle.len()).filter(|window| window == &needle.as_bytes()).count()
}

/// Linux before 5.18 takes the address of the program headers to be that of the first segment less its offset plus
/// `e_phoff`; that must be what PT_PHDR says.
fn check_old_kernels(program: &Path) {
    let bytes = std::fs::read(program).unwrap();
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let table = word(32);
    let count = u16::from_le_bytes([bytes[56], bytes[57]]) as usize;
    let headers: Vec<usize> = (0..count).map(|index| table as usize + index * 56).collect();
    let of_kind = |kind: u32| {
        let found =
            headers.iter().find(|&&at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) == kind);
        *found.unwrap()
    };
    let (first_load, headers) = (of_kind(1), of_kind(6));
    assert_eq!(word(first_load + 16) - word(first_load + 8) + table, word(headers + 16));
}

#[test]
fn position_independent_programs_grow() {
    grow_run_strip_run("position_independent_programs_grow", &[], 1000);
}

#[test]
fn programs_at_fixed_addresses_grow() {
    grow_run_strip_run("programs_at_fixed_addresses_grow", &["-no-pie"], 1000);
}

#[test]
fn programs_with_much_uninitialised_data_grow() {
    grow_run_strip_run("programs_with_much_uninitialised_data_grow", &[], 3_000_000);
}

#[test]
fn the_old_kind_of_entry_stays() {
    grow_run_strip_run("the_old_kind_of_entry_stays", &["-Wl,--disable-new-dtags"], 1000);
    grow_run_strip_run("the_old_kind_of_entry_stays", &["-Wl,--enable-new-dtags"], 1000);
}

#[test]
fn other_hash_tables_and_segment_layouts_grow() {
    let test = "other_hash_tables_and_segment_layouts_grow";
    grow_run_strip_run(test, &["-Wl,--hash-style=sysv", "-Wl,--build-id=none"], 1000);
    grow_run_strip_run(test, &["-Wl,-z,noseparate-code", "-Wl,-z,norelro"], 1000);
    grow_run_strip_run(test, &["-Wl,-z,max-page-size=0x200000"], 1000);
}

#[test]
fn stripped_files_grow() {
    grow_run_strip_run("stripped_files_grow", &["-s"], 1000);
}

/// The path of the loader that the compiler's programs ask for.
fn loader(program: &Path) -> PathBuf {
    let headers = tool("readelf", &["-lW"], program);
    let line = headers.lines().find(|line| line.contains("interpreter: ")).expect("an interpreter");
    PathBuf::from(line.split("interpreter: ").nth(1).unwrap().trim_end_matches(']'))
}

/// An interpreter in a long path, with the RPATH growing as well, and on its own.
#[test]
fn interpreters_grow() {
    for rpath_too in [true, false] {
        let Some(sample) = Sample::build("interpreters_grow", &[], 1000) else { return };
        let real = loader(&sample.short().join("program"));
        std::fs::copy(std::fs::canonicalize(real).unwrap(), sample.short().join("ld.so")).unwrap();
        let interpreter = format!("-Wl,--dynamic-linker={}/ld.so", sample.short().display());
        let rpath = if rpath_too { sample.short().display().to_string() } else { "$ORIGIN".to_owned() };
        let flags = [&interpreter, "-DBSS=1000", "-L.", "-lmiddle", "-ldl", "-Wl,-rpath-link,."];
        let rpath = format!("-Wl,-rpath,{rpath}:$ORIGIN/none");
        sample.compile(PROGRAM, "program", &[&flags[..], &[rpath.as_str()]].concat());
        let before = described(&sample.short().join("program"));
        let (long, relocated) = sample.move_to_long(230);
        assert_eq!(relocated.elf_grown, 3);
        let program = long.join("program");
        for when in ["after growing", "after strip"] {
            assert_eq!(loader(&program), long.join("ld.so"), "{when}");
            assert_eq!(described(&program), before, "{when}");
            let first = if rpath_too { long.to_str().unwrap() } else { "$ORIGIN" };
            assert_eq!(path_entry(&program), format!("{first}:$ORIGIN/none"), "the RPATH is kept");
            assert_eq!(tool_in(&long, "./program"), "42\n", "{when}");
            check_old_kernels(&program);
            tool("strip", &[], &program);
        }
    }
}

/// What fits stays in place: no growth, the rest of the string is blanked.
#[test]
fn what_fits_is_written_in_place() {
    let Some(sample) = Sample::build("what_fits_is_written_in_place", &[], 1000) else { return };
    let (long, _) = sample.move_to_long(60);
    let size = |path: &Path| path.metadata().unwrap().len();
    let before = FILES.map(|name| size(&long.join(name)));
    let short = sample.directory.path().join("t");
    std::fs::rename(&long, &short).unwrap();
    let map = PrefixMap::new([(long.to_str().unwrap(), short.to_str().unwrap())]).unwrap();
    let destination = Destination { map: &map, sbang: b"/x/bin/sbang" };
    let relocated = relocate_tree(&short, &sample.info, &destination, Platform::Elf).unwrap();
    assert_eq!((relocated.files_changed, relocated.elf_grown), (3, 0));
    assert_eq!(FILES.map(|name| size(&short.join(name))), before);
    assert_eq!(tool_in(&short, "./program"), "42\n");
    let bytes = std::fs::read(short.join("program")).unwrap();
    assert_eq!(memchr_count(&bytes, &"e".repeat(9)), 0, "the old path is blanked");
}

/// A symbol whose name is the tail of the RPATH keeps its name: the linker stores it there.
#[test]
fn a_symbol_within_the_rpath_keeps_its_name() {
    let Some(sample) = Sample::build("a_symbol_within_the_rpath_keeps_its_name", &[], 1000) else { return };
    let old = format!("{}/with/a/rather/long/path/whose/tail/is/a/_symbol", sample.short().display());
    let new = format!("{}/short", sample.short().display());
    let rpath = format!("-Wl,-rpath,{old}");
    sample.compile("shared.c:int _symbol(void) { return 7; }", "libdeep.so", &["-shared", "-fPIC", &rpath]);
    let file = sample.short().join("libdeep.so");
    let before = described(&file);
    let bytes = std::fs::read(&file).unwrap();
    if memchr_count(&bytes, "\0_symbol\0") > 1 {
        return golden::skipped(
            "a_symbol_within_the_rpath_keeps_its_name",
            "this linker does not merge tails",
        );
    }
    let map = PrefixMap::new([(old, new.clone())]).unwrap();
    let destination = Destination { map: &map, sbang: b"/x/bin/sbang" };
    let info = BuildInfo { relocate_binaries: vec!["libdeep.so".into()], ..BuildInfo::default() };
    let relocated = relocate_tree(&sample.short(), &info, &destination, Platform::Elf).unwrap();
    assert_eq!(relocated.elf_grown, 1, "in place it would rename the symbol");
    assert_eq!(described(&file), before);
    assert_eq!(path_entry(&file), new);
}

/// Without section headers nobody knows what stands behind the program headers, so these move to the end.
#[test]
fn files_without_section_headers_grow() {
    for flags in [&[][..], &["-no-pie"][..]] {
        let Some(sample) = Sample::build("files_without_section_headers_grow", flags, 300_000) else {
            return;
        };
        for name in FILES {
            let path = sample.short().join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40..48].fill(0);
            bytes[60..64].fill(0);
            std::fs::write(&path, bytes).unwrap();
        }
        let (long, relocated) = sample.move_to_long(230);
        assert_eq!(relocated.elf_grown, 3);
        for name in FILES {
            assert_eq!(path_entry(&long.join(name)), format!("{}:$ORIGIN/none", long.display()));
        }
        assert_eq!(tool_in(&long, "./program"), "42\n");
        check_old_kernels(&long.join("program"));
    }
}
