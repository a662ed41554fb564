//! The `strata` command: arguments → settings → one operation → what is printed and how the process ends.

mod args;
mod commands;
mod diagnosis;
mod output;
mod progress;
mod registries;
mod settings;

use args::{Buildcache, Cache, Cli, Command, Config, Env, Image, Mirror};
use clap::{CommandFactory, Parser};
use diagnosis::Diagnosis;
use output::Outcome;
use progress::Console;
use settings::Settings;
use std::process::ExitCode;
use std::sync::Arc;
use strata_ops::{Event, Reporter};

fn main() -> ExitCode {
    // A reader that goes away (`strata find | head`) ends a write with an error, not the process with a signal.
    let arguments = args::repeated::put_after_command(Cli::command, std::env::args_os().collect());
    let arguments = args::spelling::spell_out(Cli::command, arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let console = Arc::new(Console::new(&cli.global));
    let settings = Settings::read(&cli.global).heard_by(&console);
    let (name, result) = run(&cli, &settings, &console);
    console.finish();
    let (printed, code) = match &result {
        Ok(outcome) => {
            for failure in &outcome.failures {
                console.diagnosis(failure);
            }
            (output::print(cli.global.json, name, Ok(outcome)), outcome.exit_code)
        }
        Err(diagnosis) => {
            console.diagnosis(diagnosis);
            (output::print(cli.global.json, name, Err(diagnosis)), diagnosis.exit_code())
        }
    };
    match printed {
        Ok(()) => ExitCode::from(code),
        Err(error) => {
            console.diagnosis(&Diagnosis::stdout(&error));
            ExitCode::from(diagnosis::DISK)
        }
    }
}

/// Says what is wrong with the command line, or shows the help that was asked for. A program that wants JSON gets its
/// envelope here too.
fn not_understood(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        // Nothing can be done if standard output is closed; the exit code says the same.
        let _ = output::print(true, "", Err(&Diagnosis::usage(error)));
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(diagnosis::SOME_FAILED))
}

/// Whether a command has a use for an environment that is named.
fn takes_environment(command: &Command) -> bool {
    !matches!(command, Command::Serve(_) | Command::Login(_) | Command::Logout(_) | Command::Cache(_))
}

/// Runs the command; with its name, as the JSON envelope states it.
fn run(cli: &Cli, settings: &Settings, console: &Arc<Console>) -> (&'static str, Result<Outcome, Diagnosis>) {
    if let Some(environment) = cli.global.environment.as_ref().filter(|_| !takes_environment(&cli.command)) {
        let text =
            format!("-e {} is given to a command that has no use for an environment", environment.display());
        return ("", Err(Diagnosis::misuse(text, "leave it out")));
    }
    if let Some(directory) = settings.also_a_directory() {
        let text = format!(
            "-e {0} is the environment of that name; the directory of that name is -e ./{0}",
            directory.display()
        );
        console.event(Event::Warning(&text));
    }
    use commands::{
        buildcache, cache, concretize, config, doctor, env, find, gc, image, install, load, login, mark,
        mirror, reindex, serve, spec, uninstall, verify, wanted, why,
    };
    match &cli.command {
        Command::Buildcache(Buildcache::Push(args)) => {
            ("buildcache push", buildcache::push(args, settings, console))
        }
        Command::Buildcache(Buildcache::UpdateIndex(args)) => {
            ("buildcache update-index", buildcache::update_index(args, settings, console))
        }
        Command::Buildcache(Buildcache::List(args)) => {
            ("buildcache list", buildcache::list(args, &cli.global, settings, console))
        }
        Command::Buildcache(Buildcache::Check(args)) => {
            ("buildcache check", buildcache::check(args, settings, console))
        }
        Command::Buildcache(Buildcache::CheckIndex(args)) => {
            ("buildcache check-index", buildcache::check_index(args, settings, console))
        }
        Command::Buildcache(Buildcache::Download(args)) => {
            ("buildcache download", buildcache::download(args, settings, console))
        }
        Command::Image(Image::Build(args)) => ("image build", image::build(args, settings, console)),
        Command::Image(Image::Index(args)) => ("image index", image::index(args, settings, console)),
        Command::Image(Image::Inspect(args)) => ("image inspect", image::inspect(args, settings, console)),
        Command::Install(args) => ("install", install::install(args, &cli.global, settings, console)),
        Command::Spec(args) => ("spec", spec::spec(args, settings, console)),
        Command::Why(args) => ("why", why::why(args, settings, console)),
        Command::Find(args) => ("find", find::find(args, &cli.global, settings, console)),
        Command::Location(args) => ("location", find::location(args, settings, console)),
        Command::Uninstall(args) => ("uninstall", uninstall::uninstall(args, settings, console)),
        Command::Mirror(Mirror::Add(args)) => ("mirror add", mirror::add(args, settings, console)),
        Command::Mirror(Mirror::Remove(args)) => ("mirror remove", mirror::remove(args, settings, console)),
        Command::Mirror(Mirror::Set(args)) => ("mirror set", mirror::set(args, settings, console)),
        Command::Mirror(Mirror::SetUrl(args)) => ("mirror set-url", mirror::set_url(args, settings, console)),
        Command::Mirror(Mirror::Rename(args)) => ("mirror rename", mirror::rename(args, settings)),
        Command::Mirror(Mirror::List { scope }) => {
            ("mirror list", mirror::list(scope.scope.as_deref(), settings))
        }
        Command::Load(args) => ("load", load::load(args, &cli.global, settings, console)),
        Command::Unload(args) => ("unload", load::unload(args, &cli.global, settings, console)),
        Command::Env(Env::Create(args)) => ("env create", env::create(args, settings, console)),
        Command::Env(Env::List) => ("env list", env::list(settings)),
        Command::Env(Env::Status) => ("env status", env::status(settings)),
        Command::Env(Env::Activate(args)) => {
            ("env activate", env::activate(args, &cli.global, settings, console))
        }
        Command::Env(Env::Deactivate(shell)) => {
            ("env deactivate", env::deactivate(shell, &cli.global, settings, console))
        }
        Command::Env(Env::Remove(args)) => ("env remove", env::remove(args, settings, console)),
        Command::Env(Env::Rename(args)) => ("env rename", env::rename(args, settings)),
        Command::Env(Env::View(args)) => ("env view", env::view(args, settings, console)),
        Command::Add(args) => ("add", wanted::add(args, settings, console)),
        Command::Remove(args) => ("remove", wanted::remove(args, settings, console)),
        Command::Concretize(args) => ("concretize", concretize::concretize(args, settings, console)),
        Command::Gc(args) => ("gc", gc::gc(args, settings, console)),
        Command::Mark(args) => ("mark", mark::mark(args, settings)),
        Command::Verify(args) => ("verify", verify::verify(args, settings, console)),
        Command::Reindex(args) => ("reindex", reindex::reindex(args, settings, console)),
        Command::Config(Config::Get(args)) => ("config get", config::get(args, settings)),
        Command::Config(Config::Blame(args)) => ("config blame", config::blame(args, settings)),
        Command::Config(Config::Scopes(args)) => ("config scopes", config::scopes(args, settings)),
        Command::Config(Config::List) => ("config list", config::list()),
        Command::Login(args) => ("login", login::login(args, settings, console)),
        Command::Logout(args) => ("logout", login::logout(args, settings, console)),
        Command::Cache(Cache::Info) => ("cache info", cache::info(settings)),
        Command::Cache(Cache::Path) => ("cache path", cache::path(settings)),
        Command::Cache(Cache::Prune(args)) => ("cache prune", cache::prune(args, settings)),
        Command::Doctor(args) => ("doctor", doctor::doctor(args, settings, console)),
        Command::Serve(args) => ("serve", serve::serve(args, &cli.global, console)),
    }
}
