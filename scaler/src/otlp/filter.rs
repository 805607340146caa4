//! Which calls a window is about.

use std::fmt;
use std::sync::Arc;

use super::call::ClientCall;

/// The calls from a service, to a peer, for a route; all of them where nothing is named.
///
/// Names are compared as they are: what the spans of your services say is what has to be named.
///
/// ```
/// # use birl_scaler::otlp::SpanFilter;
/// let filter = SpanFilter::any().service("checkout").peer("payments");
/// assert_eq!(filter.to_string(), "checkout → payments");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanFilter {
    service: Option<Arc<str>>,
    peer: Option<Arc<str>>,
    route: Option<Arc<str>>,
}

impl SpanFilter {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls that this service makes: its resource's `service.name`.
    #[must_use]
    pub fn service(mut self, name: impl AsRef<str>) -> Self {
        self.service = Some(name.as_ref().into());
        self
    }

    /// Calls to this peer; see [`ClientCall::peer`].
    #[must_use]
    pub fn peer(mut self, name: impl AsRef<str>) -> Self {
        self.peer = Some(name.as_ref().into());
        self
    }

    /// Calls for this route; see [`ClientCall::route`].
    #[must_use]
    pub fn route(mut self, route: impl AsRef<str>) -> Self {
        self.route = Some(route.as_ref().into());
        self
    }

    /// Whether a call is one of these.
    pub fn matches(&self, call: &ClientCall<'_>) -> bool {
        let same = |wanted: &Option<Arc<str>>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| **wanted == *found)
        };
        same(&self.service, call.service)
            && same(&self.peer, call.peer)
            && same(&self.route, call.route)
    }
}

impl fmt::Display for SpanFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: &Option<Arc<str>>| name.as_deref().unwrap_or("any").to_owned();
        write!(f, "{} → {}", name(&self.service), name(&self.peer))?;
        self.route.as_ref().map_or(Ok(()), |route| write!(f, " {route}"))
    }
}
