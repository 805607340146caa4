//! One connection: requests side by side, and an end when there are none.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use super::counts::SpanDrop;
use super::exchange;
use super::limits::Limits;
use super::receiver::Shared;

/// What one connection may have sent without its having been read, and one request of it.
const CONNECTION_WINDOW: u32 = 512 << 10;
const STREAM_WINDOW: u32 = 256 << 10;
/// What a request says about itself.
const HEADER_BYTES: u32 = 16 << 10;

/// How many requests there were, twice: when they came and when they were answered.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Counts an answer also where nobody waits for it any more.
struct Answering<'a>(&'a Activity);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, is idle, or is asked to stop and has answered.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let activity = Arc::new(Activity::default());
    let limits = shared.limits();
    let service = {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        service_fn(move |request: Request<Incoming>| {
            let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
            async move {
                activity.begun.fetch_add(1, Ordering::Relaxed);
                let _answering = Answering(&activity);
                Ok::<_, Infallible>(exchange::answer(&shared, request).await)
            }
        })
    };
    // A timer takes neither nothing nor what lies beyond its end.
    let idle = limits.idle_timeout.clamp(Duration::from_millis(1), Duration::from_secs(86_400));
    let builder = builder(limits, idle);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut tick = interval_at(Instant::now() + idle, idle);
    let (mut seen, mut stopping) = (0, false);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            // An error says that the receiver is gone.
            _ = stop.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = tick.tick() => {
                let begun = activity.begun.load(Ordering::Relaxed);
                let unused = begun == seen && begun == activity.ended.load(Ordering::Relaxed);
                if unused && stopping {
                    return; // it was asked, and has not gone
                }
                if unused {
                    stopping = true;
                    shared.intake().turn_away(SpanDrop::Idle);
                    connection.as_mut().graceful_shutdown();
                }
                seen = begun;
            }
        }
    }
}

fn builder(limits: &Limits, idle: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(STREAM_WINDOW as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_BYTES);
    builder
}
