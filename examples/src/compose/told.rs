//! Which alerts stand behind which changes, and which notifications carry them: so that a proof can ask whether anybody
//! was told.

use std::collections::VecDeque;
use std::sync::Arc;

use birl_router::Notification;

/// The most episodes, and notifications, that are remembered; the oldest go. A proof that loses its alert so fails, and is
/// looked at.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Each episode, and the targets that its rule scales.
    episodes: VecDeque<(Box<str>, Vec<Arc<str>>)>,
    /// Each notification on its way, and the episodes in it that are known.
    notifications: VecDeque<(String, Vec<Box<str>>)>,
}

impl Told {
    /// An episode asks for changes of these targets, and is about to be told.
    pub(crate) fn raised(&mut self, episode: &str, targets: Vec<Arc<str>>) {
        if let Some((_, known)) = self.episodes.iter_mut().find(|(known, _)| **known == *episode) {
            *known = targets;
            return;
        }
        if self.episodes.len() >= MOST {
            self.episodes.pop_front();
        }
        self.episodes.push_back((episode.into(), targets));
    }

    /// A notification is on its way.
    pub(crate) fn sent(&mut self, notification: &Notification) {
        let known = |episode: &str| self.episodes.iter().any(|(known, _)| **known == *episode);
        let episodes = notification.alerts.iter().map(|alert| &alert.episode);
        let episodes: Vec<_> = episodes.filter(|episode| known(episode)).cloned().collect();
        if episodes.is_empty() {
            return;
        }
        if self.notifications.len() >= MOST {
            self.notifications.pop_front();
        }
        self.notifications.push_back((notification.id.clone(), episodes));
    }

    /// It arrived: these targets, and the episodes that drive them.
    pub(crate) fn delivered(&mut self, notification: &str) -> Vec<(Arc<str>, Box<str>)> {
        let at = self.notifications.iter().position(|(id, _)| id == notification);
        let Some((_, episodes)) = at.and_then(|at| self.notifications.remove(at)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for episode in episodes {
            let targets = self.episodes.iter().find(|(known, _)| *known == episode);
            let targets = targets.map(|(_, targets)| targets.as_slice()).unwrap_or_default();
            found.extend(targets.iter().map(|target| (Arc::clone(target), episode.clone())));
        }
        found
    }
}
