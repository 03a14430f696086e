//! Looking at containers from time to time, for the isolators that want to.

use std::sync::Arc;
use std::time::Duration;

use mesos::ids::ContainerId;
use tokio::task::JoinSet;

use crate::isolators::Limitation;
use crate::mesos_containerizer::Inner;

/// Waits until an isolator says that the container broke a limit. Looking ends with the future.
pub(crate) async fn limited(inner: &Arc<Inner>, container_id: &ContainerId) -> Limitation {
    let mut looks = JoinSet::new();
    for (position, isolator) in inner.isolation.isolators.iter().enumerate() {
        if let Some(interval) = isolator.watch_interval() {
            looks.spawn(look(Arc::clone(inner), container_id.clone(), position, interval));
        }
    }
    match looks.join_next().await {
        Some(Ok(limitation)) => limitation,
        // Nobody looks, or the runtime ends.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

async fn look(inner: Arc<Inner>, container_id: ContainerId, position: usize, interval: Duration) -> Limitation {
    loop {
        tokio::time::sleep(interval).await;
        let (inner, container_id) = (Arc::clone(&inner), container_id.clone());
        let looked = tokio::task::spawn_blocking(move || inner.isolation.isolators[position].watch(&container_id));
        if let Ok(Some(limitation)) = looked.await {
            return limitation;
        }
    }
}
