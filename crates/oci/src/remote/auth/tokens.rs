//! [`Tokens`]: the tokens for one repository by their scope, each fetched once however many requests wait for it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::authorization::{Authorization, next_serial};
use super::flight::{Flight, Outcome};
use super::scope::Scope;
use super::token_answer::Token;

/// Tokens by scope.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<Scope, Slot>>);

#[derive(Clone)]
struct Slot {
    serial: u64,
    flight: Flight<Arc<Token>>,
}

impl Tokens {
    /// A token that allows `scope`: the one that is there or under way, else the one that `fetch` gets.
    ///
    /// A token of a wider scope is taken if it is there, and not waited for: who may read may not be allowed to
    /// write, and must not be refused for that.
    pub(super) async fn get<F>(&self, scope: &Scope, fetch: impl FnOnce() -> F) -> Outcome<Authorization>
    where
        F: Future<Output = Outcome<Arc<Token>>> + Send + 'static,
    {
        let there = {
            let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let wider = slots.iter().filter(|(wider, _)| wider.includes(scope));
            slots.get(scope).into_iter().chain(wider.map(|(_, slot)| slot)).find_map(Slot::valid)
        };
        match there {
            Some(there) => Ok(there),
            None => self.get_exact(scope, fetch).await,
        }
    }

    /// As [`get`](Self::get), but of no wider scope: for whoever was just refused. What made one token bad mostly
    /// did so to all, and there is one more try, not one for each.
    pub(super) async fn get_exact<F>(
        &self,
        scope: &Scope,
        fetch: impl FnOnce() -> F,
    ) -> Outcome<Authorization>
    where
        F: Future<Output = Outcome<Arc<Token>>> + Send + 'static,
    {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(there) = slots.get(scope).and_then(Slot::valid) {
                return Ok(there);
            }
            match slots.get(scope) {
                Some(under_way) if under_way.flight.landed().is_none() => under_way.clone(),
                _ => {
                    let slot = Slot { serial: next_serial(), flight: Flight::new(fetch()) };
                    slots.insert(scope.clone(), slot.clone());
                    slot
                }
            }
        };
        let token = slot.flight.outcome().await?;
        Ok(Authorization { value: token.value.clone(), serial: slot.serial, fresh: true })
    }

    /// Forgets a token that was refused.
    pub(super) fn forget(&self, refused: &Authorization) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.serial != refused.serial);
    }
}

impl Slot {
    /// The token, if it is there and good for a while.
    fn valid(&self) -> Option<Authorization> {
        let token = self.flight.landed()?.as_ref().ok()?;
        (Instant::now() < token.renew_at).then(|| Authorization {
            value: token.value.clone(),
            serial: self.serial,
            fresh: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use reqwest::header::HeaderValue;

    use super::*;
    use crate::Error;

    /// Gives tokens with rising numbers, good for as long as is said.
    struct Server {
        fetched: AtomicU32,
        lifetime: Duration,
    }

    impl Server {
        fn new(lifetime: Duration) -> Self {
            Self { fetched: AtomicU32::new(0), lifetime }
        }

        fn fetch(&self) -> impl Future<Output = Outcome<Arc<Token>>> + Send + 'static {
            let number = self.fetched.fetch_add(1, Ordering::SeqCst);
            let renew_at = Instant::now() + self.lifetime;
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(Arc::new(Token { value: HeaderValue::from(number), renew_at }))
            }
        }

        fn fetched(&self) -> u32 {
            self.fetched.load(Ordering::SeqCst)
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_hundred_requests_fetch_one() {
        let (tokens, server, scope) = (Tokens::default(), Server::new(LONG), Scope::pull("a"));
        let all = (0..100).map(|_| tokens.get(&scope, || server.fetch()));
        let all = futures_util::future::join_all(all).await;
        assert_eq!(server.fetched(), 1);
        assert!(all.iter().all(|token| token.as_ref().unwrap().fresh));
        assert!(!tokens.get(&scope, || server.fetch()).await.unwrap().fresh);
        assert_eq!(server.fetched(), 1);
    }

    #[tokio::test]
    async fn a_wider_one_serves_a_narrower_request_and_not_the_reverse() {
        let (tokens, server) = (Tokens::default(), Server::new(LONG));
        let pull = tokens.get(&Scope::pull("a"), || server.fetch()).await.unwrap();
        let push = tokens.get(&Scope::push("a"), || server.fetch()).await.unwrap();
        assert_ne!(pull.serial, push.serial);
        tokens.forget(&pull);
        let served = tokens.get(&Scope::pull("a"), || server.fetch()).await.unwrap();
        assert_eq!(served.serial, push.serial);
        assert_eq!(server.fetched(), 2);
        // Whoever was just refused does not try his luck with it.
        let anew = tokens.get_exact(&Scope::pull("a"), || server.fetch()).await.unwrap();
        assert_ne!(anew.serial, push.serial);
        assert_eq!(server.fetched(), 3);
    }

    #[tokio::test]
    async fn one_that_is_refused_or_about_to_expire_is_fetched_again() {
        let (tokens, server, scope) = (Tokens::default(), Server::new(LONG), Scope::pull("a"));
        let first = tokens.get(&scope, || server.fetch()).await.unwrap();
        tokens.forget(&first);
        let second = tokens.get(&scope, || server.fetch()).await.unwrap();
        assert_ne!(first.serial, second.serial);
        // One of many that were refused at once comes late: what replaced it stays.
        tokens.forget(&first);
        assert_eq!(tokens.get(&scope, || server.fetch()).await.unwrap().serial, second.serial);

        let (tokens, short) = (Tokens::default(), Server::new(Duration::ZERO));
        tokens.get(&scope, || short.fetch()).await.unwrap();
        tokens.get(&scope, || short.fetch()).await.unwrap();
        assert_eq!(short.fetched(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_for_those_who_waited_and_not_for_ever() {
        let (tokens, server, scope) = (Tokens::default(), Server::new(LONG), Scope::pull("a"));
        let failing = || async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Err(Error::Client { cause: "no".into() }.into())
        };
        let (one, other) =
            futures_util::future::join(tokens.get(&scope, failing), tokens.get(&scope, || server.fetch()))
                .await;
        assert!(one.is_err() && other.is_err());
        assert_eq!(server.fetched(), 0);
        assert!(tokens.get(&scope, || server.fetch()).await.is_ok());
    }
}
