# docker build -t emo .                                        for a CPU
# docker build -t emo:cuda --build-arg TORCH=cuda .            for a CUDA card (run with --gpus all)
# docker run --network none -v "$PWD:/work" emo extract clips/ --preset tiny   nothing leaves the machine
FROM python:3.11-slim

ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/emo
COPY . .
# The wheels of PyTorch's own index for CPUs are a tenth of the size of those with CUDA.
RUN if [ "$TORCH" = cpu ]; then export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu; fi \
    && pip install -c constraints.txt . \
    && useradd --create-home --uid 1000 emo
USER emo
WORKDIR /work
ENTRYPOINT ["emo"]
CMD ["--help"]
