//! x
use accllm_quant::hf::load_model; use accllm_quant::perplexity::*; use accllm_quant::quantize::*; use accllm_quant::tokenizer::TextTokenizer; use std::path::Path;
fn main(){
 let folder=Path::new("data/tinytales/w2"); let m=load_model(&folder).unwrap(); let tk=TextTokenizer::read(&folder.join("tokenizer.json"),1024).unwrap();
 let s=story_stream(&std::fs::read_to_string("data/tinytales_train_sample.txt").unwrap(),&tk,0,1).unwrap();
 let val=story_stream(&std::fs::read_to_string("data/tinytales_val.txt").unwrap(),&tk,0,1).unwrap();
 let t=std::time::Instant::now();
 let q=quantize(&m,&s,&Options::default()).unwrap(); println!("quantize {:?}",t.elapsed());
 let t=std::time::Instant::now();
 let p=perplexity(&q.model,&val,Protocol{window:320,windows:Some(16)}).unwrap(); println!("int 5120 tokens {:?} {}",t.elapsed(),p.perplexity);
 let t=std::time::Instant::now();
 let p=perplexity(&m,&val,Protocol{window:320,windows:Some(16)}).unwrap(); println!("float {:?} {}",t.elapsed(),p.perplexity);
}
