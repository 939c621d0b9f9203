//! A small SystemVerilog master against the memory models, through Verilator.

use super::*;
use crate::verilate::{OptLevel, VerilateSpec};
use std::error::Error;

/// Copies BURSTS bursts of 16 beats from address 0 to `dst`, inverting every bit.
const COPY: &str = r#"
module copy #(parameter int BURSTS = 4) (
    input logic clk, input logic rst_n, input logic [63:0] dst, output logic done, output logic bad,
    output logic m_arvalid, output logic [63:0] m_araddr, output logic [7:0] m_arlen, input logic m_arready,
    input logic m_rvalid, output logic m_rready, input logic [511:0] m_rdata, input logic [1:0] m_rresp,
    input logic m_rlast,
    output logic m_awvalid, output logic [63:0] m_awaddr, output logic [7:0] m_awlen, input logic m_awready,
    output logic m_wvalid, output logic [511:0] m_wdata, output logic [63:0] m_wstrb, output logic m_wlast,
    input logic m_wready, input logic m_bvalid, output logic m_bready, input logic [1:0] m_bresp
);
    typedef enum logic [2:0] {AR, R, AW, W, B, DONE} state_t;
    state_t state;
    logic [511:0] buffer [16];
    logic [3:0] beat;
    logic [63:0] offset;
    assign done = state == DONE;
    assign m_arvalid = rst_n && state == AR;
    assign m_araddr = offset;
    assign m_arlen = 8'd15;
    assign m_rready = state == R && m_rvalid;  // combinational on purpose
    assign m_awvalid = state == AW;
    assign m_awaddr = dst + offset;
    assign m_awlen = 8'd15;
    assign m_wvalid = state == W;
    assign m_wdata = ~buffer[beat];
    assign m_wstrb = '1;
    assign m_wlast = beat == 15;
    assign m_bready = state == B;
    always_ff @(posedge clk)
        if (!rst_n) begin
            state <= AR; beat <= '0; offset <= '0; bad <= 1'b0;
        end else unique case (state)
            AR: if (m_arready) state <= R;
            R: if (m_rvalid) begin
                buffer[beat] <= m_rdata;
                beat <= beat + 1'b1;
                if (m_rresp != 0) bad <= 1'b1;
                if (m_rlast) state <= AW;
            end
            AW: if (m_awready) state <= W;
            W: if (m_wready) begin
                beat <= beat + 1'b1;
                if (m_wlast) state <= B;
            end
            B: if (m_bvalid) begin
                if (m_bresp != 0) bad <= 1'b1;
                offset <= offset + 64'd1024;
                state <= offset[31:0] == 1024 * (BURSTS - 1) ? DONE : AR;
            end
            default: ;
        endcase
    a_last: assert property (@(posedge clk) disable iff (!rst_n)
        m_rvalid && m_rready |-> m_rlast == (beat == 15)) else $error("rlast at beat %0d", beat);
endmodule
"#;

const BURSTS: usize = 8;

#[test]
fn a_design_copies_through_every_memory() -> Result<(), Box<dyn Error>> {
    let source = crate::verilate::tests::source("copy", COPY)?;
    let design = VerilateSpec::new("copy", [source]).opt(OptLevel::Quick).param("BURSTS", BURSTS).load()?;
    let image: Vec<u8> = (0..BURSTS * 1024).map(|i| ((i * 31) >> 3) as u8).collect();
    for seed in 0..6 {
        let store = Store::new(1 << 20)?;
        let memory: Box<dyn MemoryModel> = match seed {
            0 => Box::new(Ideal::new(store, 25)),
            _ => Box::new(Stalling::new(store, StallConfig::new(seed))?),
        };
        let mut memory = [memory];
        memory[0].store_mut().write(0, &image)?;
        let mut model = design.model()?;
        let port = AxiPorts::resolve(&model, "m_", 1)?;
        let (rst_n, dst) = (model.port("rst_n")?, model.port("dst")?);
        let (done, bad) = (model.port("done")?, model.port("bad")?);
        model.cycles(2)?;
        model.set_u64(rst_n, 1);
        model.set_u64(dst, 1 << 19);
        port.drive(&mut model, &memory);
        let mut cycles = 0;
        while model.get_u64(done) == 0 && cycles < 20_000 {
            model.fall()?;
            port.sample(&model, &mut memory);
            model.rise()?;
            port.drive(&mut model, &memory);
            cycles += 1;
        }
        assert_eq!((model.get_u64(done), model.get_u64(bad)), (1, 0), "seed {seed}");
        let mut copy = vec![0; image.len()];
        memory[0].store().read(1 << 19, &mut copy)?;
        assert!(copy.iter().zip(&image).all(|(a, b)| *a == !b), "seed {seed}");
        assert!(memory[0].violations().is_empty(), "{:?}", memory[0].violations());
        assert_eq!(memory[0].counters().write_beats as usize, 16 * BURSTS);
        assert_eq!(memory[0].store().unwritten_reads(), 0);
    }
    Ok(())
}
