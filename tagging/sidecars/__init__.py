"""XMP files beside photos: what is in them, and keeping them in step with the library's tags."""
