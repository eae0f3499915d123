//! PyTorch's checkpoints, written from the description of both containers.

use super::{ZipMember, zip_file};

/// What a test saves.
#[derive(Default)]
pub struct Checkpoint {
    /// Class without `Storage`, and bytes.
    storages: Vec<(&'static str, Vec<u8>)>,
    tensors: Vec<(String, usize, View)>,
    is_big_endian: bool,
}

/// A tensor in its storage, in elements.
pub struct View {
    pub offset: u64,
    pub sizes: Vec<u64>,
    pub strides: Vec<u64>,
}

impl View {
    /// In C order.
    pub fn of(offset: u64, sizes: &[u64]) -> Self {
        let mut strides = vec![1; sizes.len()];
        for axis in (1..sizes.len()).rev() {
            strides[axis - 1] = strides[axis] * sizes[axis];
        }
        Self { offset, sizes: sizes.to_vec(), strides }
    }
}

impl Checkpoint {
    pub fn storage(mut self, class: &'static str, bytes: &[u8]) -> Self {
        self.storages.push((class, bytes.to_vec()));
        self
    }

    pub fn tensor(self, name: &str, storage: usize, sizes: &[u64]) -> Self {
        self.view(name, storage, View::of(0, sizes))
    }

    pub fn view(mut self, name: &str, storage: usize, view: View) -> Self {
        self.tensors.push((name.to_owned(), storage, view));
        self
    }

    pub fn big_endian(mut self) -> Self {
        self.is_big_endian = true;
        self
    }

    /// What `torch.save` writes.
    pub fn archive(&self) -> Vec<u8> {
        zip_file(&self.members(), true)
    }

    pub fn members(&self) -> Vec<ZipMember> {
        let order = if self.is_big_endian { "big" } else { "little" };
        let mut members = vec![
            ZipMember::stored("model/data.pkl", self.pickle(5)),
            ZipMember::stored("model/byteorder", order.into()),
        ];
        for (number, (_, bytes)) in self.storages.iter().enumerate() {
            members.push(ZipMember::stored(format!("model/data/{number}"), bytes.clone()));
        }
        members.push(ZipMember::stored("model/version", b"3\n".to_vec()));
        members
    }

    /// What it wrote before version 1.6.
    pub fn legacy(&self) -> Vec<u8> {
        let mut file =
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02M\xe9\x03.".to_vec();
        file.extend(b"\x80\x02}q\x00X\x0d\x00\x00\x00little_endianq\x01");
        file.extend([if self.is_big_endian { 0x89 } else { 0x88 }, b's', b'.']);
        file.extend(self.pickle(6));
        file.extend(b"\x80\x02](");
        (0..self.storages.len()).for_each(|number| text(&mut file, &number.to_string()));
        file.extend(b"e.");
        for (class, bytes) in &self.storages {
            file.extend((bytes.len() as u64 / item(class)).to_le_bytes());
            file.extend(bytes);
        }
        file
    }

    /// An ordered dictionary of tensors; persistent names have so many items.
    fn pickle(&self, items: u8) -> Vec<u8> {
        let mut out = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
        for (name, storage, view) in &self.tensors {
            text(&mut out, name);
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            let (class, bytes) = &self.storages[*storage];
            text(&mut out, "storage");
            out.extend(format!("ctorch\n{class}Storage\n").bytes());
            text(&mut out, &storage.to_string());
            text(&mut out, "cpu");
            integer(&mut out, bytes.len() as u64 / item(class));
            out.extend(if items == 6 { &b"NtQ"[..] } else { &b"tQ"[..] });
            integer(&mut out, view.offset);
            for numbers in [&view.sizes, &view.strides] {
                out.push(b'(');
                numbers.iter().for_each(|&number| integer(&mut out, number));
                out.push(b't');
            }
            out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
        out.extend(b"u.");
        out
    }
}

fn item(class: &str) -> u64 {
    match class {
        "Float" | "Int" => 4,
        "Long" | "Double" => 8,
        "Half" | "BFloat16" => 2,
        "Byte" => 1,
        other => panic!("no storage of {other}"),
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

fn integer(out: &mut Vec<u8>, number: u64) {
    match i32::try_from(number) {
        Ok(number) => {
            out.push(b'J');
            out.extend(number.to_le_bytes());
        }
        Err(_) => {
            out.extend([0x8a, 8]);
            out.extend(number.to_le_bytes());
        }
    }
}
