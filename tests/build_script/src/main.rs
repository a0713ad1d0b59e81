//! Prints what the build script fetched.

fn main() {
    println!("built for {}", include_str!(concat!(env!("OUT_DIR"), "/site_name.txt")));
}
