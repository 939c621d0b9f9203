//! Checkpoints and tokenizers as people have them. The expected tokens are those of transformers 5.24.0, or of
//! sentencepiece 0.2.3 where it says so; `byte_level.json` and `pieces.json` are small tokenizers of the two kinds.

use super::support;

use accllm_llm::Result;
use accllm_llm::import::gguf::tokenizer_files;
use accllm_llm::import::load_model;
use accllm_llm::tokenizer::TextTokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::PathBuf;
use support::gguf::{f32_pair, file, list_pair, small_pairs, small_tensors, text, text_pair, u32_pair};
use support::{CONFIG, Outcome, Raw, tensors, write_folder};
use tempfile::TempDir;

const BYTE_LEVEL: &str = include_str!("data/cases/byte_level.json");
const PIECES: &str = include_str!("data/cases/pieces.json");
const MODEL: &[u8] = include_bytes!("data/cases/pieces.model");

/// Tokens of both.
const VOCAB: usize = 512;

/// A tokenizer with `edit` made to its file, in a folder with other files.
fn folder(tokenizer: &str, edit: impl Fn(&mut Value), files: &[(&str, Value)]) -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let mut json: Value = serde_json::from_str(tokenizer)?;
    edit(&mut json);
    std::fs::write(folder.path().join("tokenizer.json"), json.to_string())?;
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content.to_string())?;
    }
    Ok(folder)
}

fn open(folder: &TempDir) -> Result<TextTokenizer> {
    TextTokenizer::read(&folder.path().join("tokenizer.json"), VOCAB)
}

fn plain(tokenizer: &str) -> TextTokenizer {
    let folder = folder(tokenizer, |_| (), &[]).expect("a temporary folder");
    open(&folder).expect("a good tokenizer")
}

fn refusal<T>(outcome: Result<T>) -> String {
    outcome.err().map(|e| e.to_string()).unwrap_or_default()
}

fn must_name(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{text:?} does not mention {word:?}");
    }
}

#[test]
fn tok_truncation() -> Outcome {
    let long = "word ".repeat(60);
    for (tokenizer, tokens) in [(BYTE_LEVEL, 181), (PIECES, 181)] {
        let whole = plain(tokenizer).encode(&long)?;
        assert_eq!(whole.len(), tokens);
        let cut = json!({"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0});
        let filled = json!({"strategy": {"Fixed": 400}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 3,
            "pad_type_id": 0, "pad_token": "<pad>"});
        let edit = |json: &mut Value| {
            json["truncation"] = cut.clone();
            json["padding"] = filled.clone();
        };
        let tokenizer = open(&folder(tokenizer, edit, &[])?)?;
        assert_eq!(tokenizer.encode(&long)?, whole);
        assert_eq!(tokenizer.encode_after(&whole, &long)?.len(), tokens, "nor where a text goes on");
    }
    Ok(())
}

#[test]
fn added_tokens_decoder() -> Outcome {
    let token = |content: &str, special: bool| {
        json!({"content": content, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false,
            "special": special})
    };
    let config = json!({"eos_token": "<|im_end|>", "added_tokens_decoder":
        {"508": token("<|im_start|>", true), "509": token("<|im_end|>", true), "511": token("<tool>", false)}});
    let from_config = folder(BYTE_LEVEL, |_| (), &[("tokenizer_config.json", config)])?;
    let added = json!({"<|im_start|>": 508, "<|im_end|>": 509, "<tool>": 511});
    let named = json!({"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]});
    let files = [("tokenizer_config.json", named), ("added_tokens.json", added)];
    let from_list = folder(BYTE_LEVEL, |_| (), &files)?;
    for folder in [from_config, from_list] {
        let tokenizer = open(&folder)?;
        assert_eq!(tokenizer.encode("<|im_start|>Once<tool><|im_end|>")?, [508, 46, 77, 339, 511, 509]);
        assert_eq!(tokenizer.decode(&[508, 46, 77, 339, 511, 509])?, "Once<tool>");
        assert_eq!(tokenizer.end(), Some(509));
    }
    for wrong in [json!({"<|im_start|>": 400}), json!({"<|begin_of_text|>": 510}), json!({"<a>": -1})] {
        let text = refusal(open(&folder(BYTE_LEVEL, |_| (), &[("added_tokens.json", wrong)])?));
        must_name(&text, &["added"]);
    }
    Ok(())
}

/// The small model beside one of the tokenizers.
fn model(
    tokenizer: &str,
    edit: impl Fn(&mut Value),
    files: &[(&str, Value)],
    config: &str,
) -> std::io::Result<TempDir> {
    let folder = folder(tokenizer, edit, files)?;
    let config = config.replace("\"vocab_size\": 50", "\"vocab_size\": 512");
    let mut all = tensors();
    for t in all.iter_mut().filter(|t| t.shape == [50, 40]) {
        t.shape = vec![VOCAB, 40];
        t.bytes.resize(4 * VOCAB * 40, 0);
    }
    write_folder(folder.path(), &config, &all).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(folder)
}

/// What puts `<|begin_of_text|>` before a text.
fn begins(json: &mut Value) {
    let name = "<|begin_of_text|>";
    json["post_processor"] = json!({"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
        {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {name: {"id": name, "ids": [500], "tokens": [name]}}}]});
}

#[test]
fn bos_tokenizer_adds_none() -> Outcome {
    let config = CONFIG.replace("\"bos_token_id\": 0", "\"bos_token_id\": 500");
    let says = |adds: bool| {
        [("tokenizer_config.json", json!({"bos_token": "<|begin_of_text|>", "add_bos_token": adds}))]
    };
    let bos = |edit: fn(&mut Value),
               files: &[(&str, Value)]|
     -> std::result::Result<_, Box<dyn std::error::Error>> {
        let folder = model(BYTE_LEVEL, edit, files, &config)?;
        let bos = load_model(folder.path())?.config.bos;
        assert_eq!(open(&folder)?.begin(), bos);
        Ok(bos)
    };
    assert_eq!(bos(|_| (), &[])?, None, "config.json has a begin token, and the tokenizer adds none");
    assert_eq!(bos(begins, &[])?, Some(500));
    assert_eq!(bos(begins, &says(false))?, None);
    assert_eq!(bos(|_| (), &says(true))?, Some(500));
    // Without a tokenizer, config.json is all there is.
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), CONFIG, &tensors())?;
    assert_eq!(load_model(folder.path())?.config.bos, Some(0));
    let odd = |json: &mut Value| json["post_processor"] = json!({"type": "Odd"});
    must_name(&refusal(load_model(model(BYTE_LEVEL, odd, &[], &config)?.path())), &["post_processor", "Odd"]);
    Ok(())
}

#[test]
fn generation_config_eos() -> Outcome {
    let config = CONFIG.replace("\"eos_token_id\": [1, 2]", "\"eos_token_id\": 501");
    let eos = |files: &[(&str, Value)]| -> Result<Vec<u32>> {
        let folder = model(BYTE_LEVEL, |_| (), files, &config).expect("a folder");
        Ok(load_model(folder.path())?.config.eos)
    };
    let generation = |v: Value| ("generation_config.json", json!({"eos_token_id": v}));
    let named = ("tokenizer_config.json", json!({"eos_token": {"content": "<|eom_id|>"}}));
    assert_eq!(eos(&[])?, [501]);
    assert_eq!(eos(&[generation(json!([501, 504]))])?, [501, 504]);
    assert_eq!(eos(&[generation(json!(504)), named])?, [501, 504, 505]);
    assert_eq!(eos(&[generation(json!(null))])?, [501]);
    must_name(&refusal(eos(&[generation(json!(512))])), &["generation_config.json", "eos_token_id", "512"]);
    must_name(&refusal(eos(&[("generation_config.json", json!([1]))])), &["generation_config.json"]);
    Ok(())
}

/// A GGUF file of the small model in a folder of its own.
fn gguf(edit: impl Fn(&mut Vec<support::gguf::Pair>)) -> std::io::Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("m.gguf");
    let mut pairs = small_pairs();
    edit(&mut pairs);
    std::fs::write(&path, file(&pairs, &small_tensors()))?;
    Ok((folder, path))
}

/// Puts a pair in the place of the one of that key.
fn set(pairs: &mut Vec<support::gguf::Pair>, pair: support::gguf::Pair) {
    pairs.retain(|p| p.0 != pair.0);
    pairs.push(pair);
}

/// The names of the small model's tokens, with others at the end.
fn tokens(last: &[&str]) -> support::gguf::Pair {
    let letters = (0..50 - last.len() as u8).map(|i| char::from(b'A' + i).to_string());
    let all: Vec<_> = letters.map(|t| text(&t)).chain(last.iter().map(|t| text(t))).collect();
    list_pair("tokenizer.ggml.tokens", 8, &all)
}

#[test]
fn gguf_eot_by_name() -> Outcome {
    let eos = |last: &[&str]| -> Result<Vec<u32>> {
        let (_folder, path) = gguf(|pairs| set(pairs, tokens(last))).expect("a folder");
        Ok(load_model(&path)?.config.eos)
    };
    assert_eq!(eos(&["<|eot_id|>", "x y", "<end_of_turn>"])?, [1, 47, 49]);
    assert_eq!(eos(&["<|im_start|>", "<|im_end|>", "<|eom_id|>"])?, [1, 48, 49]);
    // With these, a message ends with `<|end|>`, and the text goes on.
    assert_eq!(eos(&["<|end|>", "<|return|>", "<|call|>"])?, [1, 48, 49]);
    assert_eq!(eos(&["<|end|>"])?, [1, 49]);
    Ok(())
}

#[test]
fn gguf_begin_by_pre() -> Outcome {
    let bos = |pre: &str, says: Option<u8>| -> Result<Option<u32>> {
        let (_folder, path) = gguf(|pairs| {
            set(pairs, text_pair("tokenizer.ggml.pre", pre));
            says.iter().for_each(|b| pairs.push(("tokenizer.ggml.add_bos_token".into(), 7, vec![*b])));
        })
        .expect("a folder");
        let bos = load_model(&path)?.config.bos;
        let config: Value = serde_json::from_str(&tokenizer_files(&path)?[1].1).expect("JSON");
        assert_eq!(config["add_bos_token"], json!(bos.is_some()));
        Ok(bos)
    };
    for pre in ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"] {
        assert_eq!((bos(pre, None)?, bos(pre, Some(0))?), (Some(0), None), "{pre}");
    }
    for pre in ["default", "gpt-2", "phi-2", "smollm", "mellum"] {
        assert_eq!((bos(pre, None)?, bos(pre, Some(1))?), (None, Some(0)), "{pre}");
    }
    Ok(())
}

#[test]
fn gguf_pre_advice() -> Outcome {
    let (folder, path) = gguf(|pairs| set(pairs, text_pair("tokenizer.ggml.pre", "new-one")))?;
    must_name(&refusal(tokenizer_files(&path)), &["new-one", "smollm", "tokenizer.json beside this file"]);
    // The same tokens, cut in another way.
    let (_other, known) = gguf(|_| ())?;
    let mut json: Value = serde_json::from_str(&tokenizer_files(&known)?[0].1)?;
    let beside = folder.path().join("tokenizer.json");
    std::fs::write(&beside, json.to_string())?;
    assert_eq!(tokenizer_files(&path)?[0].1, json.to_string());
    assert_eq!(load_model(&path)?.config.bos, None);
    let processor = json!({"type": "BertProcessing", "sep": ["B", 1], "cls": ["A", 0]});
    json["post_processor"] = processor;
    std::fs::write(&beside, json.to_string())?;
    assert_eq!(load_model(&path)?.config.bos, Some(0));
    json["model"]["vocab"]["Z"] = json!(3);
    std::fs::write(&beside, json.to_string())?;
    must_name(&refusal(tokenizer_files(&path)), &["tokenizer.ggml.tokens", "beside"]);
    Ok(())
}

#[test]
fn tokenizer_model_only() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tokenizer.model");
    std::fs::write(&path, MODEL)?;
    let tokenizer = open(&folder)?;
    // By sentencepiece.
    let tokens = [354, 446, 342, 402, 347, 261, 260, 419, 440, 198, 172, 440, 233, 154, 168, 13, 440, 471];
    assert_eq!(tokenizer.encode("Once upon a time \u{e9} \u{65e5}\n x")?, tokens);
    assert_eq!(tokenizer.begin(), Some(1));
    assert_eq!(tokenizer.encode("<s>a</s>b")?, [1, 261, 2, 266]);
    std::fs::write(
        folder.path().join("tokenizer_config.json"),
        json!({"add_bos_token": false, "legacy": false}).to_string(),
    )?;
    let tokenizer = open(&folder)?;
    assert_eq!((tokenizer.begin(), tokenizer.encode("<s>a")?), (None, vec![1, 442]));
    // Unigram, and Llama 3's own format.
    let mut unigram = MODEL.to_vec();
    let at = unigram
        .windows(4)
        .rposition(|w| w == [0x18, 2, 0x28, 0x80])
        .or_else(|| unigram.windows(2).rposition(|w| w == [0x18, 2]));
    let at = at.ok_or("no model type")?;
    unigram[at + 1] = 1;
    std::fs::write(&path, &unigram)?;
    must_name(&refusal(open(&folder)), &["tokenizer.model", "not BPE", "save_pretrained"]);
    std::fs::write(&path, "IQ== 0\nIg== 1\n")?;
    must_name(&refusal(open(&folder)), &["tokenizer.model", "save_pretrained"]);
    std::fs::remove_file(&path)?;
    must_name(&refusal(open(&folder)), &["tokenizer.json", "tokenizer.model"]);
    Ok(())
}

#[test]
fn tied_different_head() -> Outcome {
    let tied = CONFIG.replace("\"llama\"", "\"llama\", \"tie_word_embeddings\": true");
    let load = |head: Option<&[u8]>| -> Result<accllm_llm::float::FloatModel> {
        let folder = tempfile::tempdir().expect("a folder");
        let all = tensors().into_iter().filter_map(|t| match (t.name.as_str(), head) {
            ("lm_head.weight", None) => None,
            ("lm_head.weight", Some(bytes)) => Some(Raw { bytes: bytes.to_vec(), ..t }),
            _ => Some(t),
        });
        write_folder(folder.path(), &tied, &all.collect::<Vec<_>>()).expect("a folder");
        load_model(folder.path())
    };
    let bytes =
        |name: &str| tensors().into_iter().find(|t| t.name == name).map(|t| t.bytes).unwrap_or_default();
    let (head, embed) = (bytes("lm_head.weight"), bytes("model.embed_tokens.weight"));
    let own = load(Some(&head))?;
    assert!(!own.config.tied_head);
    assert_eq!(own.head.map(|h| h.data), support::small_float()?.head.map(|h| h.data), "the one in the file");
    let same = load(Some(&embed))?;
    assert!(same.config.tied_head && same.head.is_none());
    assert!(load(None)?.head.is_none());
    Ok(())
}

#[test]
fn rotary_caches() -> Outcome {
    let folder = tempfile::tempdir()?;
    let load = |name: &str, shape: &[usize], value: &dyn Fn(usize) -> f64| {
        let mut all = tensors();
        let n = shape.iter().product::<usize>();
        let bytes = (0..n).flat_map(|i| (value(i) as f32).to_le_bytes()).collect();
        all.push(Raw { name: name.into(), shape: shape.to_vec(), bytes, ..all[0].clone() });
        write_folder(folder.path(), CONFIG, &all).expect("a folder");
        refusal(load_model(folder.path()))
    };
    let frequency = |i: usize| 10_000f64.powf(-2.0 * i as f64 / 10.0);
    let other = |i: usize| 500_000f64.powf(-2.0 * i as f64 / 10.0);
    let cos = |i: usize| ((i / 10) as f64 * frequency(i % 5)).cos();
    for name in ["model.layers.1.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"] {
        assert_eq!(load(name, &[5], &frequency), "");
        must_name(&load(name, &[5], &other), &[name, "element 1", "rope_theta"]);
        must_name(&load(name, &[4], &frequency), &[name, "each pair"]);
    }
    let name = "model.layers.0.self_attn.rotary_emb.cos_cached";
    assert_eq!(load(name, &[1, 1, 20, 10], &cos), "");
    must_name(&load(name, &[1, 1, 20, 10], &|i| ((i / 10) as f64 * other(i % 5)).cos()), &[name, "position"]);
    must_name(
        &load("model.layers.2.self_attn.rotary_emb.inv_freq", &[5], &frequency),
        &["layers.2", "such a model"],
    );
    Ok(())
}

/// Bytes that make no character must not take the text after them along.
#[test]
fn byte_fallback_lost_word() -> Outcome {
    let tokenizer = plain(PIECES);
    let byte = |b: u32| b + 3;
    // By sentencepiece: a sign for each byte that belongs to no character.
    assert_eq!(tokenizer.decode(&[byte(0x51), byte(0xad), 300, 301])?, "Q\u{fffd} ofnt");
    assert_eq!(tokenizer.decode(&[byte(0xe2), byte(0x82), 300])?, "\u{fffd}\u{fffd} of");
    assert_eq!(tokenizer.decode(&[byte(0xe2), byte(0x82), byte(0xac), 300])?, "\u{20ac} of");
    let mut stream = tokenizer.stream();
    let pieces = [byte(0x51), byte(0xad), 300, 301].map(|id| stream.push(id));
    assert_eq!(pieces.into_iter().collect::<Result<Vec<_>>>()?, ["Q", "\u{fffd}", " of", "nt"]);
    Ok(())
}

/// The text of `ids` in pieces, after the first `before` of them.
fn streamed(tokenizer: &TextTokenizer, ids: &[u32], before: usize) -> Result<String> {
    let (head, tail) = ids.split_at(before.min(ids.len()));
    let mut stream = tokenizer.stream();
    let mut text = String::new();
    for id in head {
        text += &stream.push(*id)?;
    }
    let mut stream = tokenizer.stream_after(head)?;
    for id in tail {
        text += &stream.push(*id)?;
    }
    Ok(text + &stream.finish()?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any tokens, most of them bytes: in pieces they are the text of all, and that is the text of their bytes.
    #[test]
    fn streams_equal_the_whole(ids in proptest::collection::vec(prop_oneof![3 => 3u32..259, 1 => 0u32..520], 0..24),
                               before in 0usize..24) {
        for file in [PIECES, BYTE_LEVEL] {
            let tokenizer = plain(file);
            let whole = tokenizer.decode(&ids).unwrap();
            prop_assert_eq!(streamed(&tokenizer, &ids, before).unwrap(), whole.as_str());
            if file == PIECES {
                let bytes: Vec<u8> = ids.iter().filter(|id| (3..259).contains(*id)).map(|id| (id - 3) as u8).collect();
                let all_bytes = ids.iter().all(|id| (3..259).contains(id));
                if let (true, Ok(text)) = (all_bytes, String::from_utf8(bytes)) {
                    prop_assert_eq!(whole, text.strip_prefix(' ').unwrap_or(&text));
                }
            }
        }
    }

    /// A text that goes on after a special token has the tokens that it has in one go.
    #[test]
    fn turns_are_one_text(turns in proptest::collection::vec("[a-d ]{0,8}", 1..4)) {
        let tokenizer = plain(PIECES);
        let whole = turns.iter().map(|t| format!("<s>{t}</s>")).collect::<String>();
        let mut tokens = Vec::new();
        for turn in &turns {
            for part in ["<s>", turn, "</s>"] {
                tokens.extend(tokenizer.encode_after(&tokens, part).unwrap());
            }
        }
        prop_assert_eq!(tokens, tokenizer.encode(&whole).unwrap());
    }
}

#[test]
fn spm_multi_turn_space() -> Outcome {
    let tokenizer = plain(PIECES);
    let whole = tokenizer.encode("<s>[INST] Hi [/INST] oh my </s><s>[INST] Yes [/INST]")?;
    // By transformers.
    assert_eq!(
        whole,
        [
            1, 440, 94, 470, 484, 468, 465, 96, 367, 447, 440, 94, 50, 470, 484, 468, 465, 96, 267, 445, 280,
            452, 440, 2, 1, 440, 94, 470, 484, 468, 465, 96, 440, 494, 441, 448, 440, 94, 50, 470, 484, 468,
            465, 96
        ]
    );
    let asked = tokenizer.encode("<s>[INST] Hi [/INST]")?;
    let said = [asked.as_slice(), &[267, 445, 280, 452]].concat();
    let rest = tokenizer.encode_after(&said, " </s><s>[INST] Yes [/INST]")?;
    assert_eq!([said, rest].concat(), whole);
    // Metaspace puts its sign before the whole text only.
    let first = |json: &mut Value| {
        json["normalizer"] = Value::Null;
        json["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": false});
    };
    let tokenizer = open(&folder(PIECES, first, &[])?)?;
    let whole = tokenizer.encode("a</s>a a")?;
    let parts = [tokenizer.encode("a</s>")?, tokenizer.encode_after(&[2], "a")?].concat();
    let parts = [parts.clone(), tokenizer.encode_after(&parts, " a")?].concat();
    assert_eq!((whole.as_slice(), whole.first()), (parts.as_slice(), Some(&261)));
    Ok(())
}

/// The small model in two parts.
fn split(folder: &std::path::Path, number: u16, count: u16, names: [&str; 2]) -> std::io::Result<PathBuf> {
    let keys = |no: u16| {
        let u16_pair = |key: &str, v: u16| (key.to_string(), 2, v.to_le_bytes().to_vec());
        [u16_pair("split.no", no), u16_pair("split.count", count), u32_pair("split.tensors.count", 21)]
    };
    let mut all = small_tensors();
    let rest = all.split_off(9);
    let first = file(&[small_pairs(), keys(number).to_vec()].concat(), &all);
    std::fs::write(folder.join(names[0]), first)?;
    std::fs::write(folder.join(names[1]), file(&keys(1), &rest))?;
    Ok(folder.join(names[0]))
}

#[test]
fn gguf_split_part() -> Outcome {
    let folder = tempfile::tempdir()?;
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    let path = split(folder.path(), 0, 2, names)?;
    let (parts, whole) = (load_model(&path)?, support::small_float()?);
    assert_eq!((parts.layer(1)?.k.clone(), &parts.embed), (whole.layer(1)?.k.clone(), &whole.embed));
    assert!(tokenizer_files(&path).is_ok());
    let second = folder.path().join(names[1]);
    must_name(&refusal(load_model(&second)), &["split.no", "give the first part, m-00001-of-00002.gguf"]);
    std::fs::remove_file(&second)?;
    must_name(&refusal(load_model(&path)), &["m-00002-of-00002.gguf", "No such file"]);
    // A name that does not say where the others are; a part of another file.
    let path = split(folder.path(), 0, 2, ["m.gguf", "n.gguf"])?;
    must_name(&refusal(load_model(&path)), &["split.count", "part 1 of 2", "NAME-00001-of-00002.gguf"]);
    let path = split(folder.path(), 0, 3, ["x-00001-of-00003.gguf", "x-00002-of-00003.gguf"])?;
    std::fs::copy(folder.path().join("x-00002-of-00003.gguf"), folder.path().join("x-00003-of-00003.gguf"))?;
    must_name(&refusal(load_model(&path)), &["x-00003-of-00003.gguf"]);
    let path = split(folder.path(), 0, 2, names)?;
    let keys = [u32_pair("split.no", 1), u32_pair("split.count", 2)];
    std::fs::write(&second, file(&keys, &small_tensors()[9..20]))?;
    must_name(&refusal(load_model(&path)), &["20 tensors", "21"]);
    std::fs::write(&second, file(&keys, &small_tensors()))?;
    must_name(&refusal(load_model(&path)), &["in another part, too"]);
    Ok(())
}

#[test]
fn gguf_scale_keys() -> Outcome {
    let neutral = 1.0 / 10f32.sqrt();
    for (key, fine, other) in [
        ("llama.rope.scaling.attn_factor", 1.0, 0.5),
        ("llama.attention.scale", neutral, 0.25),
        ("llama.logit_scale", 1.0, 0.0625),
        ("llama.embedding_scale", 1.0, 12.0),
        ("llama.residual_scale", 1.0, 0.22),
        ("llama.final_logit_softcapping", 0.0, 30.0),
    ] {
        let load = |v: f32| {
            let (_folder, path) = gguf(|pairs| pairs.push(f32_pair(key, v))).expect("a folder");
            refusal(load_model(&path))
        };
        assert_eq!((load(fine), load(0.0)), (String::new(), String::new()), "{key}");
        must_name(&load(other), &[key, "absent"]);
    }
    Ok(())
}

#[test]
fn rope_contradictions() -> Outcome {
    let parse = |fields: &str| {
        let config = CONFIG.replace("\"rope_theta\": 10000.0", fields);
        accllm_llm::config::LlamaConfig::parse(&config, std::path::Path::new("config.json"))
    };
    let linear = |factor: u32| format!(r#"{{"rope_type": "linear", "factor": {factor}}}"#);
    let (two, four) = (linear(2), linear(4));
    let same = parse(&format!(r#""rope_scaling": {two}, "rope_parameters": {two}, "rope_theta": 5e5"#))?;
    assert_eq!(
        (same.sizes.rope.theta, same.sizes.rope.scaling),
        (5e5, Some(accllm_hw::rope::Scaling::Linear { factor: 2.0 }))
    );
    let text = refusal(parse(&format!(r#""rope_scaling": {two}, "rope_parameters": {four}"#)));
    must_name(&text, &["rope_parameters", "rope_scaling", "contradict"]);
    let text =
        refusal(parse(&format!(r#""rope_scaling": {two}, "rope_parameters": {{"rope_type": "default"}}"#)));
    must_name(&text, &["rope_parameters", "contradict"]);
    let text = refusal(parse(r#""rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}"#));
    must_name(&text, &["rope_parameters", "500000", "10000", "contradict"]);
    for (field, word) in [
        ("\"logit_scale\": 0.0625", "logit_scale"),
        ("\"attention_multiplier\": 0.1", "attention_multiplier"),
    ] {
        must_name(&refusal(parse(field)), &[word]);
    }
    assert!(parse("\"logits_scaling\": 1.0").is_ok());
    Ok(())
}

/// A GGUF file with the vocabulary of one of the tokenizers and this `pre`; `None` for SentencePiece's.
fn vocabulary(
    pre: Option<&str>,
) -> std::result::Result<Vec<support::gguf::Pair>, Box<dyn std::error::Error>> {
    let json: Value = serde_json::from_str(if pre.is_some() { BYTE_LEVEL } else { PIECES })?;
    let mut tokens = vec![String::new(); VOCAB];
    let mut kinds = vec![1i32; VOCAB];
    for (token, id) in json["model"]["vocab"].as_object().ok_or("no vocabulary")? {
        tokens[id.as_u64().ok_or("no id")? as usize] = token.clone();
    }
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let id = token["id"].as_u64().ok_or("no id")? as usize;
        tokens[id] = token["content"].as_str().unwrap_or_default().into();
        kinds[id] = if token["content"] == "<unk>" { 2 } else { 3 };
    }
    for (id, token) in tokens.iter_mut().enumerate().filter(|(_, t)| t.is_empty()) {
        *token = format!("[PAD{id}]");
    }
    let mut pairs: Vec<support::gguf::Pair> =
        small_pairs().into_iter().filter(|p| !p.0.starts_with("tokenizer")).collect();
    let texts = |all: &[String]| all.iter().map(|t| text(t)).collect::<Vec<_>>();
    pairs.push(list_pair("tokenizer.ggml.tokens", 8, &texts(&tokens)));
    pairs.push(list_pair(
        "tokenizer.ggml.token_type",
        5,
        &kinds.iter().map(|k| k.to_le_bytes().to_vec()).collect::<Vec<_>>(),
    ));
    match pre {
        Some(pre) => {
            let pair = |m: &Value| match m.as_str() {
                Some(text) => text.to_string(),
                None => {
                    format!("{} {}", m[0].as_str().unwrap_or_default(), m[1].as_str().unwrap_or_default())
                }
            };
            let merges: Vec<String> =
                json["model"]["merges"].as_array().into_iter().flatten().map(pair).collect();
            pairs.push(text_pair("tokenizer.ggml.model", "gpt2"));
            pairs.push(text_pair("tokenizer.ggml.pre", pre));
            pairs.push(list_pair("tokenizer.ggml.merges", 8, &texts(&merges)));
        }
        None => {
            // As in `pieces.model`: 0 for control tokens and bytes, then less for each piece.
            let scores = (0..VOCAB as i32).map(|id| -((id - 259).max(0) as f32));
            let scores: Vec<_> = scores.map(|s| s.to_le_bytes().to_vec()).collect();
            pairs.push(text_pair("tokenizer.ggml.model", "llama"));
            pairs.push(list_pair("tokenizer.ggml.scores", 6, &scores));
        }
    }
    Ok(pairs)
}

/// Texts of all kinds, by four tokenizers out of GGUF files. The expected tokens are those of tiktoken 0.14.0 with the same
/// ranks and patterns, and of sentencepiece 0.2.3.
#[test]
fn vocabularies() -> Outcome {
    let data: Value = serde_json::from_str(include_str!("data/vocabularies.json"))?;
    let texts: Vec<&str> = data["texts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(texts.len() >= 40);
    for pre in ["llama-bpe", "gpt-2", "smollm", "llama"] {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("m.gguf");
        std::fs::write(&path, file(&vocabulary(Some(pre).filter(|p| *p != "llama"))?, &[]))?;
        for (name, content) in tokenizer_files(&path)? {
            std::fs::write(folder.path().join(name), content)?;
        }
        let tokenizer = open(&folder)?;
        for (i, text) in texts.iter().enumerate() {
            let expected: Vec<u32> = serde_json::from_value(data["tokens"][pre][i].clone())?;
            assert_eq!(tokenizer.encode(text)?, expected, "{pre}: {text:?}");
            assert_eq!(tokenizer.decode(&expected)?, *text, "{pre}");
        }
    }
    Ok(())
}

/// Frequencies and factors of transformers 5.24.0 (`_compute_yarn_parameters`, 32-bit floats).
#[test]
fn yarn() -> Outcome {
    let data: Value = serde_json::from_str(include_str!("data/rope_yarn.json"))?;
    for case in data.as_array().into_iter().flatten() {
        let width = case["head_dim"].as_u64().ok_or("no width")? as usize;
        let config = CONFIG
            .replace("\"rope_theta\": 10000.0", &format!("\"rope_parameters\": {}", case["rope_parameters"]));
        let rope =
            accllm_llm::config::LlamaConfig::parse(&config, std::path::Path::new("config.json"))?.sizes.rope;
        for (i, expected) in case["inv_freq"].as_array().into_iter().flatten().enumerate() {
            let (found, expected) = (rope.frequency(i, width), expected.as_f64().unwrap_or(0.0));
            assert!((found / expected - 1.0).abs() < 2e-6, "{width}, pair {i}: {found} {expected}");
        }
        // The factor of the scores is in the queries, and nothing else differs.
        let folder = tempfile::tempdir()?;
        write_folder(folder.path(), &config, &tensors())?;
        let (with, without) = (load_model(folder.path())?, support::small_float()?);
        let factor = case["attention_factor"].as_f64().ok_or("no factor")?;
        for (a, b) in with.layer(1)?.q.data.iter().zip(&without.layer(1)?.q.data) {
            assert!((f64::from(*a) - f64::from(*b) * factor * factor).abs() < 1e-6, "{a} {b} {factor}");
        }
        assert_eq!(with.layer(1)?.k, without.layer(1)?.k);
        let text = serde_json::to_string(&rope)?;
        assert_eq!(serde_json::from_str::<accllm_hw::rope::Rope>(&text)?, rope);
    }
    let (_folder, path) = gguf(|pairs| {
        pairs.push(text_pair("llama.rope.scaling.type", "yarn"));
        pairs.push(f32_pair("llama.rope.scaling.factor", 4.0));
        pairs.push(u32_pair("llama.rope.scaling.original_context_length", 2048));
    })?;
    let (with, without) = (load_model(&path)?, support::small_float()?);
    let factor = 1.0 + 0.1 * 4f64.ln();
    let (a, b) = (with.layer(0)?.q.data[7], without.layer(0)?.q.data[7]);
    assert!((f64::from(a) - f64::from(b) * factor * factor).abs() < 1e-6);
    Ok(())
}
