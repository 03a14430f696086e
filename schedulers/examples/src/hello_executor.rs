//! An executor on the libprocess driver: each task says hello to the framework and has finished.

use libprocess::{Node, NodeConfig};
use mesos_executor_driver::ExecutorEnvironment;
use mesos_executor_driver::v0::{Executor, ExecutorDriver};
use mesos_proto::v0::mesos::{ExecutorInfo, FrameworkInfo, SlaveInfo, TaskID, TaskInfo, TaskState, TaskStatus};

use crate::arguments::ExampleError;

/// Runs the program; an agent has started it, and its environment says how to reach that agent.
///
/// # Errors
///
/// Tells what is missing.
pub fn run() -> Result<(), ExampleError> {
    actix_rt::System::new().block_on(serve())
}

async fn serve() -> Result<(), ExampleError> {
    let environment = ExecutorEnvironment::from_env().map_err(|error| ExampleError::Environment(error.to_string()))?;
    let config = NodeConfig::from_env().map_err(|error| ExampleError::Environment(error.to_string()))?;
    let node = Node::start(config)
        .await
        .map_err(|error| ExampleError::Environment(error.to_string()))?;
    let driver = ExecutorDriver::start(&node, &environment, Hello)
        .map_err(|error| ExampleError::Environment(error.to_string()))?;
    driver.join().await;
    node.stop().await;
    Ok(())
}

/// Keeps nothing: a task is over as soon as it is there.
struct Hello;

impl Executor for Hello {
    fn registered(&mut self, _: &ExecutorDriver, _: ExecutorInfo, framework: FrameworkInfo, agent: SlaveInfo) {
        println!("registered for {} on {}", framework.name(), agent.hostname());
    }

    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        println!("task {}", task.task_id.value());
        tell(driver, &task.task_id, TaskState::TASK_RUNNING);
        driver.send_framework_message(format!("hello from {}", task.name()).into_bytes());
        tell(driver, &task.task_id, TaskState::TASK_FINISHED);
    }

    fn kill_task(&mut self, driver: &ExecutorDriver, task_id: TaskID) {
        // Tasks never last long enough to be killed here; an executor with real work ends it first.
        tell(driver, &task_id, TaskState::TASK_KILLED);
    }

    fn shutdown(&mut self, driver: &ExecutorDriver) {
        driver.stop();
    }
}

/// Reports a state; the driver keeps the report until the agent has it.
fn tell(driver: &ExecutorDriver, task_id: &TaskID, state: TaskState) {
    let mut status = TaskStatus::new();
    status.task_id = Some(task_id.clone()).into();
    status.set_state(state);
    driver.send_status_update(status);
}
