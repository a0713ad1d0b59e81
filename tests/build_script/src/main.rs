//! Says what the build script found out.

fn main() {
    println!("built for {}", include_str!(concat!(env!("OUT_DIR"), "/site_name.txt")));
}
