//! `strata serve`: a directory of image layouts as a registry.

use crate::args::{Global, Serve};
use crate::diagnosis::Diagnosis;
use crate::output::{self, Outcome};
use crate::progress::Console;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use strata_ops::{Event, Reporter};
use strata_registry::{Registry, RegistryOptions, ServerCertificate};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves until SIGINT or SIGTERM; then finishes what has begun, unless a second one says not to.
///
/// The address goes to standard output as soon as the registry answers: whoever started it waits for that line.
pub(crate) fn serve(args: &Serve, global: &Global, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let options = RegistryOptions { read_only: args.read_only, htpasswd: args.htpasswd.clone() };
    let registry = Registry::open(&args.directory, options)?;
    let certificate = args.tls_cert.clone().zip(args.tls_key.clone());
    let certificate = certificate.map(|(certificate, key)| ServerCertificate { certificate, key });
    // Whoever waits for the line with the address must not get one of a registry that then cannot be.
    certificate.as_ref().map_or(Ok(()), ServerCertificate::check)?;
    let secure = certificate.is_some();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnosis::system("cannot start threads", &error))?;
    let cannot_listen =
        |error: io::Error| Diagnosis::system(format!("cannot listen on {}", args.listen), &error);
    let finished = runtime.block_on(async {
        // Both are taken before anybody is told that the registry answers: a signal right after that must not kill it.
        let (mut interrupt, mut terminate) =
            signals().map_err(|error| Diagnosis::system("cannot wait for signals", &error))?;
        let listener = TcpListener::bind(&args.listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        for warning in warnings(address, args, secure) {
            console.event(Event::Warning(&warning));
        }
        announce(address, args, secure, global, console)?;

        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = strata_registry::serve(registry.router(), listener, certificate, async {
            // The sender is dropped only after a signal.
            let _ = stopped.await;
        });
        let mut served = std::pin::pin!(served);
        tokio::select! {
            ended = &mut served => return ended.map(|()| true).map_err(Diagnosis::from),
            () = either(&mut interrupt, &mut terminate) => {}
        }
        console.event(Event::Phase("Finishing the requests that have begun"));
        let _ = stop.send(());
        tokio::select! {
            ended = &mut served => ended.map(|()| true).map_err(Diagnosis::from),
            () = either(&mut interrupt, &mut terminate) => Ok(false),
        }
    });
    // What is still running was told to end by a second signal.
    runtime.shutdown_background();
    if !finished? {
        console.event(Event::Warning("ended before all requests were answered"));
    }
    Ok(Outcome::told())
}

fn signals() -> io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// What strangers could do.
fn warnings(address: SocketAddr, args: &Serve, secure: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if address.ip().is_loopback() {
        return warnings;
    }
    if args.htpasswd.is_none() && !args.read_only {
        warnings.push(format!(
            "everybody who can reach {address} can push and delete: use --htpasswd FILE or --read-only"
        ));
    }
    if args.htpasswd.is_some() && !secure {
        warnings
            .push(format!("passwords travel to {address} unencrypted: use --tls-cert FILE --tls-key FILE"));
    }
    warnings
}

/// Says where the registry is: the URL alone on standard output, and how caches in it are called beside it.
fn announce(
    address: SocketAddr,
    args: &Serve,
    secure: bool,
    global: &Global,
    console: &Console,
) -> Result<(), Diagnosis> {
    let (scheme, cache) = if secure { ("https", "oci") } else { ("http", "oci+http") };
    let url = format!("{scheme}://{address}");
    let outcome = Outcome::new(
        format!("{url}\n"),
        &json!({"url": url, "caches": format!("{cache}://{address}/"), "port": address.port()}),
    )?;
    output::print(global.json, "serve", Ok(&outcome)).map_err(|error| Diagnosis::stdout(&error))?;
    let directory = args.directory.display();
    console.event(Event::Phase(&format!("Serving {directory}; its caches are {cache}://{address}/NAME")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(address: &str, read_only: bool, htpasswd: bool, secure: bool) -> usize {
        let args = Serve {
            directory: "d".into(),
            listen: address.to_owned(),
            read_only,
            htpasswd: htpasswd.then(|| "f".into()),
            tls_cert: None,
            tls_key: None,
        };
        warnings(address.parse().unwrap(), &args, secure).len()
    }

    #[test]
    fn what_strangers_could_do_is_said() {
        for address in ["127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(warned(address, false, false, false), 0);
        }
        for address in ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:80"] {
            assert_eq!(warned(address, false, false, true), 1, "everybody can write");
            assert_eq!(warned(address, true, false, false), 0);
            assert_eq!(warned(address, false, true, false), 1, "passwords can be read");
            assert_eq!(warned(address, false, true, true), 0);
        }
    }
}
