//! A compiled memory image as the golden executor's memory.

use crate::Result;
use accllm_compiler::MemoryImage;
use accllm_sim::golden::{Image, Port};

/// Copies the image.
pub fn golden_memory(image: &MemoryImage) -> Result<Image> {
    let mut memory = Image::new(image.channels.len());
    for (c, bytes) in image.channels.iter().enumerate() {
        memory.put_bytes(Port::Channel(c), 0, bytes)?;
    }
    memory.put_bytes(Port::Aux, 0, &image.aux)?;
    Ok(memory)
}
