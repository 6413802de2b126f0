//! Sends an admitted request: with the held token, again with a new one if the service rejects the first, and again
//! after a pause if the egress policy allows retries.

use std::{borrow::Cow, sync::Arc, time::Duration};

use hyper::{
    StatusCode,
    body::{Bytes, Incoming},
};

use super::{Admitted, Route};
use crate::{
    domain::{credentials::verification::Diagnosis, usage::TokenSource},
    service::{
        Service, ServiceError,
        tokens::broker::{HeldToken, NoToken, TokenRefusal},
    },
    upstream::{Answer, Forward, ForwardBody, ForwardFault, is_worth_retrying, retry_after},
};

/// The longest pause before a retry. If a service asks for a longer one, its response is forwarded instead.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The first pause, if the service doesn't specify one; it doubles with every retry.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// How often a credential may change while one request is in progress.
const RENEWALS: usize = 3;

/// The body of a request.
pub enum ProxyBody {
    /// In memory, so that the request can be sent again.
    Kept(Bytes),
    /// Too large to keep in memory, or of unknown length.
    Streaming(Incoming),
}

/// A response of the service.
pub struct Sent {
    pub answer: Answer,
    /// How often the request was sent.
    pub tries: u8,
    /// Where the token of the last attempt came from.
    pub token: TokenSource,
}

/// Why there is no response of the service.
#[derive(Debug)]
pub enum ProxyFault {
    NoToken(TokenRefusal),
    /// The credential's values don't make a valid request.
    Unusable(Box<Diagnosis>),
    /// The resource was deleted while the request was in progress.
    Gone,
    Forward(ForwardFault),
    /// A failure of Keytile itself.
    Service(ServiceError),
}

impl From<ForwardFault> for ProxyFault {
    fn from(fault: ForwardFault) -> Self {
        Self::Forward(fault)
    }
}

impl Service {
    /// True if the token of an admitted request is held. For benchmarks: the lookup is the one that sending does.
    pub fn has_token(&self, admitted: &Admitted) -> bool {
        self.token_at_once(admitted).is_some()
    }

    fn token_at_once(&self, admitted: &Admitted) -> Option<Arc<HeldToken>> {
        self.token_in(admitted.slot()?, &admitted.route().credential, admitted.at)
    }

    /// Sends a request that was checked against its route. The response streams.
    pub async fn send(&self, admitted: &Admitted, forward: &Forward<'_>, body: ProxyBody) -> Result<Sent, ProxyFault> {
        let mut route = Cow::Borrowed(admitted.route());
        let (mut token, mut source) = match self.token_at_once(admitted) {
            Some(token) => (token, TokenSource::Memory),
            None => self.current_token(&mut route).await?,
        };
        let kept = match body {
            ProxyBody::Kept(body) => body,
            ProxyBody::Streaming(body) => {
                let body = ForwardBody::Streaming { body, most: route.policy.body_max };
                let answer = self.forward(&route, &token, forward, body).await?;
                if refused(&route, answer.status()) {
                    // It can't be sent again, but the token is replaced for the next request.
                    self.replace_behind(&route, &token);
                }
                return Ok(Sent { answer, tries: 1, token: source });
            }
        };
        let (mut tries, mut replaced, mut pauses) = (0_u8, false, 0_u8);
        loop {
            tries = tries.saturating_add(1);
            let answer = self.forward(&route, &token, forward, ForwardBody::Whole(kept.clone())).await?;
            let status = answer.status();
            if refused(&route, status) && !replaced {
                replaced = true;
                match Box::pin(self.token_or_renewed(&mut route, Some(&token))).await {
                    Ok((new, from)) if !Arc::ptr_eq(&new, &token) => {
                        (token, source) = (new, from);
                        answer.give_up();
                        continue;
                    }
                    // There is no other token, or it was only just replaced: the service's own response says more.
                    Ok(_) | Err(_) => return Ok(Sent { answer, tries, token: source }),
                }
            }
            if forward.came.method.is_idempotent() && pauses < route.policy.retries && is_worth_retrying(status) {
                let asked = retry_after(answer.headers(), self.now());
                let pause = asked.map_or(PAUSE_FIRST * (1 << pauses), Duration::from_secs);
                if pause <= PAUSE_MAX {
                    pauses += 1;
                    answer.give_up();
                    Box::pin(tokio::time::sleep(pause)).await;
                    // The token may have been replaced during the pause.
                    (token, source) = self.current_token(&mut route).await?;
                    continue;
                }
            }
            return Ok(Sent { answer, tries, token: source });
        }
    }

    async fn forward(
        &self,
        route: &Route,
        token: &HeldToken,
        forward: &Forward<'_>,
        body: ForwardBody,
    ) -> Result<Answer, ProxyFault> {
        let (upstream, credential) = (&self.0.upstream, &route.credential);
        let authorized = token.headers(upstream, credential).map_err(ProxyFault::Unusable)?;
        Ok(upstream.forwarder.forward(&credential.connector, &route.target, authorized, forward, body).await?)
    }

    /// The token to use now. If the credential was just changed, the route is renewed.
    async fn current_token(&self, route: &mut Cow<'_, Arc<Route>>) -> Result<(Arc<HeldToken>, TokenSource), ProxyFault> {
        match self.token_now(&route.credential) {
            Some(token) => Ok((token, TokenSource::Memory)),
            None => Box::pin(self.token_or_renewed(route, None)).await,
        }
    }

    async fn token_or_renewed(
        &self,
        route: &mut Cow<'_, Arc<Route>>,
        mut refused: Option<&Arc<HeldToken>>,
    ) -> Result<(Arc<HeldToken>, TokenSource), ProxyFault> {
        for _ in 0..RENEWALS {
            match self.token_and_source(&route.credential, refused, Duration::ZERO).await {
                Ok(found) => return Ok(found),
                Err(NoToken::Refused(refusal)) => return Err(ProxyFault::NoToken(refusal)),
                Err(NoToken::Failed(error)) => return Err(ProxyFault::Service(error)),
                Err(NoToken::Gone) => {
                    let renewed = self.renewed(route).await.map_err(ProxyFault::Service)?;
                    *route = Cow::Owned(renewed.ok_or(ProxyFault::Gone)?);
                    // The rejected token belonged to the previous version.
                    refused = None;
                }
            }
        }
        Err(ProxyFault::Gone)
    }

    fn replace_behind(&self, route: &Route, token: &Arc<HeldToken>) {
        let (service, credential, token) = (self.clone(), Arc::clone(&route.credential), Arc::clone(token));
        self.0.tasks.spawn(async move {
            // The next request reports why there is no token.
            let _ = service.token_for(&credential, Some(&token), Duration::ZERO).await;
        });
    }
}

/// True if this status means that the service rejects the token.
fn refused(route: &Route, status: StatusCode) -> bool {
    route.credential.connector.api.token_refused.contains(&status.as_u16())
}
