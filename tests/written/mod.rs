//! Containers of weights, written from their descriptions, for tests of several kinds.

/// Names and numbers.
pub type Tensors<'a> = [(&'a str, &'a [f32])];

/// A checkpoint as `torch.save` writes it: an archive of a pickle and a storage for each tensor.
pub fn checkpoint(tensors: &Tensors<'_>) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut members = Vec::new();
    for (number, (name, numbers)) in tensors.iter().enumerate() {
        let count = numbers.len();
        let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let count = [b"J", &(count as u32).to_le_bytes()[..]].concat();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend([&text("storage")[..], b"ctorch\nFloatStorage\n", &text(&number.to_string())].concat());
        pickle.extend([&text("cpu")[..], &count, b"tQK\x00", &count, b"\x85K\x01\x85\x89}tR"].concat());
        members.push((format!("model/data/{number}"), payload(numbers)));
    }
    pickle.extend(b"u.");
    members.insert(0, ("model/data.pkl".to_owned(), pickle));
    archive(&members)
}

/// A zip archive whose members are stored.
pub fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, body) in members {
        let len = (body.len() as u32).to_le_bytes();
        let name_len = (name.len() as u16).to_le_bytes();
        let facts = [&[0; 12][..], &[0; 4], &len, &len, &name_len, &[0; 2]].concat();
        let start = (file.len() as u32).to_le_bytes();
        file.extend([b"PK\x03\x04", &facts[2..], name.as_bytes(), body].concat());
        directory.extend([b"PK\x01\x02\0\0", &facts[2..], &[0; 10], &start, name.as_bytes()].concat());
    }
    let start = (file.len() as u32).to_le_bytes();
    let count = (members.len() as u16).to_le_bytes();
    let len = (directory.len() as u32).to_le_bytes();
    file.extend(directory);
    file.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &len, &start, &[0; 2]].concat());
    file
}

/// A GGUF file without facts.
pub fn gguf(tensors: &Tensors<'_>) -> Vec<u8> {
    let mut file = [b"GGUF\x03\0\0\0", &(tensors.len() as u64).to_le_bytes()[..], &[0; 8]].concat();
    let mut data = Vec::new();
    for (name, numbers) in tensors {
        let [name_len, count, offset] =
            [name.len(), numbers.len(), data.len()].map(|n| (n as u64).to_le_bytes());
        file.extend([&name_len[..], name.as_bytes(), &[1, 0, 0, 0], &count, &[0; 4], &offset].concat());
        data.extend(payload(numbers));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}

/// Numbers, little-endian.
pub fn payload(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
