//! Link arguments of the library, kept here because a user's RUSTFLAGS would replace those in a
//! cargo configuration file.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // Our thread runs in this library. The VM unloads a library when its module is purged:
        // without this the thread would then execute unmapped memory.
        Ok("linux" | "freebsd" | "netbsd" | "openbsd" | "dragonfly") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        // The enif_* functions come from the VM that loads the library.
        Ok("macos") => {
            println!("cargo:rustc-cdylib-link-arg=-undefined");
            println!("cargo:rustc-cdylib-link-arg=dynamic_lookup");
        }
        _ => {}
    }
}
