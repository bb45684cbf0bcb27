"""What jobs and the local stack read beside the code: conf/ and java/ of the repository."""
