//! The log of decisions in etcd: created if absent, many in one transaction.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, GetOptions, PutOptions, SortOrder, SortTarget, Txn,
    TxnOp, TxnOpResponse,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::decision_log::{DecisionLine, DecisionLog, decode_line};
use crate::error::{Error, ErrorKind};
use crate::state::DeciderState;

/// The most entries of one transaction. etcd allows 128 operations, and counts those inside of an
/// operation on top.
const MAX_OPS: usize = 120;

/// The most bytes of one transaction; etcd refuses requests over 1.5 MiB.
const MAX_BYTES: usize = 1 << 20;

/// A single entry beyond this fits into no request.
const MAX_ENTRY: usize = 1_400_000;

/// A lease serves entries for this part of the time that they are kept.
const LEASE_SHARE: u32 = 10;

/// How an [`EtcdDecisionLog`] is reached, and how long it keeps entries.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdLogOptions {
    /// What the keys begin with; `birl/decisions/` by default. The rest is the target's name, the
    /// decision's id and the kind of entry.
    pub prefix: String,
    /// How long entries are kept; until somebody removes them by default. They go up to a tenth of
    /// it sooner.
    pub keep: Option<Duration>,
    /// How long one transaction may take; 5 s by default.
    pub deadline: Duration,
    /// User and password, where etcd asks for them.
    pub user: Option<(String, String)>,
}

impl Default for EtcdLogOptions {
    fn default() -> Self {
        Self {
            prefix: "birl/decisions/".to_owned(),
            keep: None,
            deadline: Duration::from_secs(5),
            user: None,
        }
    }
}

impl fmt::Debug for EtcdLogOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdLogOptions")
            .field("prefix", &self.prefix)
            .field("keep", &self.keep)
            .field("deadline", &self.deadline)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish()
    }
}

/// The log of decisions in etcd, an entry a key.
///
/// An entry is created only if its key is absent, so that a batch which is given again after its
/// answer was lost is kept exactly once. The entries of a batch share transactions, each whole or
/// not at all, of 120 at most.
///
/// It writes on the runtime that it was connected on, and waits for it: give it to a
/// [`DecisionRecorder`](crate::DecisionRecorder), whose thread waits instead of yours, and drop
/// that one before the runtime ends.
///
/// ```no_run
/// # async fn example() -> Result<(), birl_scaler::Error> {
/// use birl_scaler::{DecisionRecorder, EtcdDecisionLog, EtcdLogOptions, RecorderOptions};
///
/// let log = EtcdDecisionLog::connect(&["http://127.0.0.1:2379"], EtcdLogOptions::default()).await?;
/// let before = log.last_state("workers").await?;
/// let recorder = DecisionRecorder::start(log, RecorderOptions::default())?;
/// # let _ = (before, recorder); Ok(()) }
/// ```
pub struct EtcdDecisionLog {
    client: Client,
    options: EtcdLogOptions,
    runtime: Handle,
    lease: Option<(i64, Instant)>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    repeated: AtomicU64,
    conflicts: AtomicU64,
    too_large: AtomicU64,
}

/// What an [`EtcdDecisionLog`] met; a handle that goes on counting when the log is given away.
#[derive(Debug, Clone)]
pub struct EtcdLogCounts(Arc<Counts>);

impl EtcdLogCounts {
    /// Entries that were there already, and the same: their answer had been lost.
    pub fn repeated(&self) -> u64 {
        self.0.repeated.load(Ordering::Relaxed)
    }

    /// Entries whose key was taken by another one: two deciders write for one target. The first
    /// one stays.
    pub fn conflicts(&self) -> u64 {
        self.0.conflicts.load(Ordering::Relaxed)
    }

    /// Entries that are larger than etcd takes.
    pub fn too_large(&self) -> u64 {
        self.0.too_large.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for EtcdDecisionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdDecisionLog").field("options", &self.options).finish_non_exhaustive()
    }
}

impl EtcdDecisionLog {
    /// Connects to the members at `endpoints`, such as `http://127.0.0.1:2379`. Needs a running
    /// tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if an endpoint cannot be understood, or the user is refused. Members that
    /// cannot be reached are not noticed before something is written or read.
    pub async fn connect(endpoints: &[&str], options: EtcdLogOptions) -> Result<Self, Error> {
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(options.deadline)
            .with_timeout(options.deadline)
            .with_keep_alive(Duration::from_secs(10), options.deadline);
        if let Some((name, password)) = &options.user {
            connect = connect.with_user(name, password);
        }
        let connected = timeout(options.deadline, Client::connect(endpoints, Some(connect))).await;
        let client = match connected {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(late(options.deadline)),
        };
        let runtime = Handle::current();
        Ok(Self { client, options, runtime, lease: None, counts: Arc::default() })
    }

    /// What it meets.
    pub fn counts(&self) -> EtcdLogCounts {
        EtcdLogCounts(Arc::clone(&self.counts))
    }

    /// What the decider of `target` remembered last: give it to
    /// [`Decider::with_state`](crate::Decider::with_state).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if etcd does not answer; [`ErrorKind::InvalidState`] if the newest entry
    /// is damaged, or of a newer version.
    pub async fn last_state(&self, target: &str) -> Result<Option<DeciderState>, Error> {
        let prefix = format!("{}{target}/", self.options.prefix);
        // The newest decision has three entries at most, and one that knows no state.
        let newest = GetOptions::new()
            .with_prefix()
            .with_sort(SortTarget::Key, SortOrder::Descend)
            .with_limit(4);
        let mut kv = self.client.kv_client();
        let found = timeout(self.options.deadline, kv.get(prefix, Some(newest))).await;
        let found = found.map_err(|_| late(self.options.deadline))?.map_err(failed)?;
        for kv in found.kvs() {
            let entry = decode_line(kv.value()).map_err(|why| {
                let key = String::from_utf8_lossy(kv.key());
                Error::new(ErrorKind::InvalidState, format!("etcd key {key} is no entry: {why}"))
            })?;
            if let Some(state) = entry.state() {
                return Ok(Some(state.clone()));
            }
        }
        Ok(None)
    }

    /// The lease of entries that are not kept for good, renewed in time.
    async fn lease(&mut self) -> Result<Option<i64>, Error> {
        let Some(keep) = self.options.keep else { return Ok(None) };
        let share = keep / LEASE_SHARE;
        if let Some((lease, since)) = self.lease
            && since.elapsed() < share
        {
            return Ok(Some(lease));
        }
        let ttl = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX).max(1);
        let granted = self.client.lease_client().grant(ttl, None).await.map_err(failed)?;
        self.lease = Some((granted.id(), Instant::now()));
        Ok(Some(granted.id()))
    }

    /// Creates the entries that are not there yet.
    async fn create(&mut self, lines: &[&DecisionLine]) -> Result<(), Error> {
        let lease = self.lease().await?;
        let keys: Vec<_> =
            lines.iter().map(|line| format!("{}{}", self.options.prefix, line.key())).collect();
        let create = |(line, key): (&&DecisionLine, &String)| {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease));
            let absent = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
            let put = TxnOp::put(key.as_str(), line.text(), options);
            let get = TxnOp::get(key.as_str(), None);
            TxnOp::txn(Txn::new().when([absent]).and_then([put]).or_else([get]))
        };
        let all: Vec<_> = lines.iter().zip(&keys).map(create).collect();
        let mut kv = self.client.kv_client();
        let answer = match kv.txn(Txn::new().and_then(all)).await {
            Ok(answer) => answer,
            Err(error) => {
                // It may be the lease that is gone.
                self.lease = None;
                return Err(failed(error));
            }
        };
        for ((answer, line), key) in answer.op_responses().iter().zip(lines).zip(&keys) {
            let TxnOpResponse::Txn(one) = answer else { continue };
            if !one.succeeded() {
                self.was_there(&one.op_responses(), line, key);
            }
        }
        Ok(())
    }

    /// An entry's key was taken: by itself, or by another one.
    fn was_there(&self, found: &[TxnOpResponse], line: &DecisionLine, key: &str) {
        let same = found.iter().any(|found| match found {
            TxnOpResponse::Get(found) => {
                found.kvs().iter().any(|kv| kv.value() == line.text().as_bytes())
            }
            _ => false,
        });
        if same {
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.counts.conflicts.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            target: "birl_scaler", key,
            "another decider has written this entry; its one stays: stop one of the two"
        );
    }
}

impl DecisionLog for EtcdDecisionLog {
    fn append(&mut self, batch: &[DecisionLine]) -> Result<(), Error> {
        if Handle::try_current().is_ok() {
            let message = "an etcd log waits for its answer, which would stop this runtime: give \
                           it to a DecisionRecorder";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let (runtime, deadline) = (self.runtime.clone(), self.options.deadline);
        for chunk in chunks(batch, &self.counts) {
            let created = runtime.block_on(async { timeout(deadline, self.create(&chunk)).await });
            created.unwrap_or_else(|_| Err(late(deadline)))?;
        }
        Ok(())
    }
}

/// The entries of each transaction, in order. One that fits into none is counted.
fn chunks<'a>(batch: &'a [DecisionLine], counts: &Counts) -> Vec<Vec<&'a DecisionLine>> {
    let mut chunks: Vec<Vec<&DecisionLine>> = Vec::new();
    let mut bytes = 0;
    for line in batch {
        let size = line.text().len();
        if size > MAX_ENTRY {
            counts.too_large.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(target: "birl_scaler", key = line.key(), size, "too large for etcd");
            continue;
        }
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < MAX_OPS && bytes + size <= MAX_BYTES => chunk.push(line),
            _ => {
                bytes = 0;
                chunks.push(vec![line]);
            }
        }
        bytes += size;
    }
    chunks
}

fn late(deadline: Duration) -> Error {
    let within = crate::duration::format(deadline);
    let message = format!("etcd did not answer within {within}: does it run, and have a leader?");
    Error::new(ErrorKind::Timeout, message)
}

fn failed(error: etcd_client::Error) -> Error {
    // The numbers of gRPC.
    let remedy = match &error {
        etcd_client::Error::GRpcStatus(status) => match status.code() as i32 {
            7 => ": grant the user's role `readwrite` on the prefix of the keys",
            8 => ": compact and defragment it, or raise its quota",
            14 => ": does it run there?",
            16 => ": check user and password",
            _ => "",
        },
        _ => "",
    };
    let message = format!("etcd: {error}{remedy}");
    Error::new(ErrorKind::Io, message).with_source(error)
}
