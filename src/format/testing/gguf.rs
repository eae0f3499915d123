//! GGUF files, written from their description.

/// What a test saves.
#[derive(Default)]
pub struct Gguf {
    pub alignment: Option<u32>,
    pub is_big_endian: bool,
    pub pairs: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<(String, u32, Vec<u64>, Vec<u8>)>,
}

impl Gguf {
    pub fn text(&mut self, key: &str, text: &str) {
        let value = self.string(text);
        self.pairs.push((key.to_owned(), 8, value));
    }

    pub fn texts(&mut self, key: &str, texts: &[&str]) {
        let mut value = self.u32(8);
        value.extend(self.u64(texts.len() as u64));
        texts.iter().for_each(|text| value.extend(self.string(text)));
        self.pairs.push((key.to_owned(), 9, value));
    }

    /// Arrays of one array each, so many.
    pub fn arrays(&mut self, key: &str, depth: usize) {
        let value = (0..depth).flat_map(|_| [self.u32(9), self.u64(1)].concat()).collect();
        self.pairs.push((key.to_owned(), 9, value));
    }

    /// A tensor of a type of ggml, slowest axis first.
    pub fn tensor(&mut self, name: &str, kind: u32, shape: &[u64], bytes: &[u8]) -> &mut Self {
        self.tensors.push((name.to_owned(), kind, shape.to_vec(), bytes.to_vec()));
        self
    }

    pub fn file(&self) -> Vec<u8> {
        let mut pairs = self.pairs.clone();
        pairs.extend(self.alignment.map(|value| ("general.alignment".to_owned(), 4, self.u32(value))));
        let alignment = self.alignment.unwrap_or(32) as usize;
        let mut file = b"GGUF".to_vec();
        file.extend(self.u32(3));
        file.extend(self.u64(self.tensors.len() as u64));
        file.extend(self.u64(pairs.len() as u64));
        for (key, kind, value) in &pairs {
            file.extend(self.string(key));
            file.extend(self.u32(*kind));
            file.extend(value);
        }
        let mut data = Vec::new();
        for (name, kind, shape, bytes) in &self.tensors {
            file.extend(self.string(name));
            file.extend(self.u32(shape.len() as u32));
            shape.iter().rev().for_each(|&extent| file.extend(self.u64(extent)));
            file.extend(self.u32(*kind));
            file.extend(self.u64(data.len() as u64));
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(alignment), 0);
        }
        file.resize(file.len().next_multiple_of(alignment), 0);
        file.extend(data);
        file
    }

    fn string(&self, text: &str) -> Vec<u8> {
        [self.u64(text.len() as u64), text.into()].concat()
    }

    fn u32(&self, value: u32) -> Vec<u8> {
        if self.is_big_endian { value.to_be_bytes().into() } else { value.to_le_bytes().into() }
    }

    fn u64(&self, value: u64) -> Vec<u8> {
        if self.is_big_endian { value.to_be_bytes().into() } else { value.to_le_bytes().into() }
    }
}
