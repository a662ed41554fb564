//! Which packages are preferred as providers of virtual ones: the facts of `packages:all:providers` in the defaults that
//! Spack 1.2 comes with, as far as binaries of them are published. Configurations of users are not looked at.

const PREFERRED: &[(&str, &[&str])] = &[
    ("awk", &["gawk"]),
    ("blas", &["openblas", "amdblis"]),
    ("c", &["gcc", "llvm", "intel-oneapi-compilers"]),
    ("cxx", &["gcc", "llvm", "intel-oneapi-compilers"]),
    ("daal", &["intel-oneapi-daal"]),
    ("elf", &["elfutils"]),
    ("fftw-api", &["fftw", "amdfftw"]),
    ("flame", &["libflame", "amdlibflame"]),
    ("fortran", &["gcc", "llvm", "intel-oneapi-compilers"]),
    ("fortran-rt", &["gcc-runtime", "intel-oneapi-runtime"]),
    ("fuse", &["libfuse"]),
    ("gl", &["glx", "osmesa"]),
    ("glu", &["mesa-glu", "openglu"]),
    ("golang", &["go", "gcc"]),
    ("iconv", &["libiconv"]),
    ("ipp", &["intel-oneapi-ipp"]),
    ("java", &["openjdk", "jdk"]),
    ("jpeg", &["libjpeg-turbo", "libjpeg"]),
    ("lapack", &["openblas", "amdlibflame"]),
    ("libc", &["glibc", "musl"]),
    ("libgfortran", &["gcc-runtime"]),
    ("libglx", &["mesa"]),
    ("libllvm", &["llvm"]),
    ("lua-lang", &["lua", "lua-luajit-openresty", "lua-luajit"]),
    ("luajit", &["lua-luajit-openresty", "lua-luajit"]),
    ("mariadb-client", &["mariadb-c-client", "mariadb"]),
    ("mkl", &["intel-oneapi-mkl"]),
    ("mpi", &["openmpi", "mpich"]),
    ("mysql-client", &["mysql", "mariadb-c-client"]),
    ("opencl", &["pocl"]),
    ("onedal", &["intel-oneapi-dal"]),
    ("pbs", &["openpbs", "torque"]),
    ("pil", &["py-pillow"]),
    ("pkgconfig", &["pkgconf", "pkg-config"]),
    ("qmake", &["qt-base", "qt"]),
    ("rpc", &["libtirpc"]),
    ("scalapack", &["netlib-scalapack", "amdscalapack"]),
    ("sycl", &["hipsycl"]),
    ("szip", &["libaec", "libszip"]),
    ("tbb", &["intel-tbb"]),
    ("unwind", &["libunwind"]),
    ("uuid", &["util-linux-uuid", "libuuid"]),
    ("xkbdata-api", &["xkeyboard-config", "xkbdata"]),
    ("xxd", &["xxd-standalone", "vim"]),
    ("yacc", &["bison", "byacc"]),
    ("zlib-api", &["zlib-ng", "zlib"]),
];

/// The place of `package` among the providers of a virtual package; those nobody prefers come after all others.
pub(super) fn rank(virtual_name: &str, package: &str) -> usize {
    let preferred = PREFERRED.iter().find(|(name, _)| *name == virtual_name).map(|(_, packages)| *packages);
    let packages = preferred.unwrap_or_default();
    packages.iter().position(|preferred| *preferred == package).unwrap_or(packages.len())
}
