"""The shared mathematics of diffusion: a thin layer over the schedulers of `diffusers`."""
