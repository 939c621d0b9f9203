//! Connections: accepting, limiting and ending them.

use super::api::Shared;
use super::connection::answer;
use crate::{Error, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Most bytes of a request's line and headers.
const MAX_HEAD: usize = 32 << 10;

/// Pause after a connection that could not be accepted, for example for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` says so, then lets requests end within their time.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<u8>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)
        .map_err(|e| Error::Argument(format!("cannot use the listening socket: {e}")))?;
    let places = Arc::new(Semaphore::new(shared.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // Never closed, so there is always a permit in the end.
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            (accepted, place) = accept => match accepted {
                Ok((stream, _)) => {
                    let one = connection(stream, shared.clone(), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        one.await;
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = reached(&mut stop, 1) => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = tokio::time::sleep(shared.limits.grace) => {}
        () = reached(&mut stop, 2) => {}
    }
    // Dropping a connection cancels its request.
    connections.shutdown().await;
    Ok(())
}

/// Waits until the server is stopped, or stopped at once.
async fn reached(stop: &mut watch::Receiver<u8>, wanted: u8) {
    // Without a sender, nobody wants the server any more.
    let _ = stop.wait_for(|level| *level >= wanted).await;
}

/// All requests of a connection. Its errors are the client's: nobody is left to tell.
async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<u8>) {
    let timeout = shared.limits.timeout;
    // Pieces of a stream are small and should go at once.
    let _ = stream.set_nodelay(true);
    // A client that does not read its answer must not hold its connection; where this is unknown, it does.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(timeout));
    let service = service_fn(move |request| answer(shared.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = reached(&mut stop, 1) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
