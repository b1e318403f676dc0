"""The body: skeleton, skinning, and the open body that ships with vlogger."""
