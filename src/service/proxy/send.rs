//! Sends a request that was admitted: with the token that is held, again with a new one where the service does not
//! take it, and again after a pause where the policy says so.

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

/// The longest pause before a retry. Who asks for a longer one is passed on instead.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The first pause, where the service names none; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// How often a credential may be changed while one request is under way.
const RENEWALS: usize = 3;

/// The body of a request.
pub enum ProxyBody {
    /// At hand, so that the request can be sent again.
    Kept(Bytes),
    /// Too large to be kept, or of unknown length.
    Streaming(Incoming),
}

/// An answer of the service, and how often it was asked.
pub struct Sent {
    /// The answer.
    pub answer: Answer,
    /// How often the request was sent.
    pub tries: u8,
    /// Where the token came from that it was sent with at last.
    pub token: TokenSource,
}

/// Why there is no answer of the service.
#[derive(Debug)]
pub enum ProxyFault {
    /// There is no access token.
    NoToken(TokenRefusal),
    /// The values of the credential make no request.
    Unusable(Box<Diagnosis>),
    /// The resource was deleted while the request was under way.
    Gone,
    /// The request brought no answer.
    Forward(ForwardFault),
    /// Keytile's own trouble.
    Service(ServiceError),
}

impl From<ForwardFault> for ProxyFault {
    fn from(fault: ForwardFault) -> Self {
        Self::Forward(fault)
    }
}

impl Service {
    /// Whether the token of an admitted request is at hand, looked up as sending it does: to measure what that costs.
    pub fn has_token(&self, admitted: &Admitted) -> bool {
        self.token_at_once(admitted).is_some()
    }

    fn token_at_once(&self, admitted: &Admitted) -> Option<Arc<HeldToken>> {
        self.token_in(admitted.slot()?, &admitted.route().credential, admitted.at)
    }

    /// Sends a request of a route, which was checked. Its answer streams.
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
                    // It cannot be sent again, but the next one shall not meet the same refusal.
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
                    // There is no other one, or was just now: what the service said of the request is the better answer.
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
                    // It may have been replaced meanwhile.
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

    /// The token to use now. Where the credential was changed at this moment, the route is renewed.
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
                    // That token was of another version.
                    refused = None;
                }
            }
        }
        Err(ProxyFault::Gone)
    }

    fn replace_behind(&self, route: &Route, token: &Arc<HeldToken>) {
        let (service, credential, token) = (self.clone(), Arc::clone(&route.credential), Arc::clone(token));
        self.0.tasks.spawn(async move {
            // Why there is none is told to whoever asks next.
            let _ = service.token_for(&credential, Some(&token), Duration::ZERO).await;
        });
    }
}

/// Whether the service says with this status that it does not take the token.
fn refused(route: &Route, status: StatusCode) -> bool {
    route.credential.connector.api.token_refused.contains(&status.as_u16())
}
