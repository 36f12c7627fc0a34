"""Errors of models, adapters and the prompts of single samples."""

from __future__ import annotations

from bye_core.errors import ModelError, SampleFailed, SettingError

EXAMPLES = "for example a LLaVA, InternVL, Qwen-VL, Gemma or SmolVLM (docs/models.md lists all)"


class ModelNotFound(ModelError):
    problem = "No model at {path}: {reason}"
    remedy = "Give a folder with config.json and *.safetensors, or the id of a model on the Hugging Face hub."


class BrokenModel(ModelError):
    problem = "The model at {path} cannot be loaded: {reason}"
    remedy = "Download or save the complete model again: config, processor and *.safetensors weights."


class IncompleteWeights(ModelError):
    problem = "The weights at {path} are incomplete; these tensors are missing or have the wrong shape: {names}."
    remedy = "Use the complete checkpoint; random numbers in place of weights would make the scan meaningless."


class AdapterAsModel(ModelError):
    problem = "{path} holds an adapter, not a model."
    remedy = "Give this folder as --adapter, and its base model ({base}) as --model."


class OnlyCheckpoints(ModelError):
    problem = "{path} holds no {wanted}, only the checkpoints {found}."
    remedy = "Give the folder of one checkpoint."


class UnsupportedAdapter(ModelError):
    problem = "The adapter at {path} is of type {kind}; only LORA adapters are supported."
    remedy = (
        "Merge it into its base model with peft (merge_and_unload), save the merged model, and scan that model with "
        "--tuned-on-this-data."
    )


class MisnamedWeights(ModelError):
    problem = "The adapter at {path} has no adapter_model.safetensors, the name that peft reads; it has {found}."
    remedy = "Save the adapter with peft (save_pretrained), or rename its weights."


class PickleWeights(ModelError):
    problem = "{path} holds no safetensors weights{found}."
    remedy = "Convert the weights with save_pretrained; pickled files can run code and are refused."


class TextOnlyModel(ModelError):
    problem = "The model at {path} ({model_type}) has no vision part."
    remedy = f"Use a vision-language model: {EXAMPLES}."


class UnsupportedFamily(ModelError):
    problem = "The installed version of transformers loads no vision-language models of type {model_type}."
    remedy = f"Update transformers, or use another model: {EXAMPLES}."


class OriginalLayout(ModelError):
    problem = "The model at {path} ({model_type}) needs the code of its authors, which this tool does not run."
    remedy = "{advice}"


class NoPixelLimits(SettingError):
    problem = "The processor of {family} has no setting for the least or the largest number of pixels of an image."
    remedy = "Leave --min-pixels and --max-pixels out for this model."


class NoLeastPixels(SettingError):
    problem = "The processor of {family} resizes images to a longest edge, so it has no least number of pixels."
    remedy = "Leave --min-pixels out for this model."


class BadPixelLimits(SettingError):
    problem = "Images cannot be resized to at least {least:,} and at most {most:,} pixels."
    remedy = (
        "Give --min-pixels and --max-pixels so that the first is above 0 and not above the second, "
        "and a tile of the model is between them. "
        "They are bounded by 4,194,304 and 67,108,864 pixels."
    )


class UnreadableArchitecture(ModelError):
    problem = "Models of type {model_type} are not supported: {reason}"
    remedy = f"Use a model that receives images as tokens among its text: {EXAMPLES}."


class UnknownParts(ModelError):
    problem = "A model of type {model_type} shows no {part} in its modules."
    remedy = "Report this model type: it needs a description of its own in bye_core/models/families."


class ForeignCode(ModelError):
    problem = "The adapter at {path} asks to import code: its adapter_config.json sets {field}."
    remedy = 'Save it as a plain LoRA: task_type="CAUSAL_LM", {field} = null.'


class AdapterMismatch(ModelError):
    problem = "The adapter at {path} does not fit this base model: {reason}"
    remedy = "Load it with the base model it was trained on (its adapter_config.json names {base})."


class NoChatTemplate(ModelError):
    problem = "The processor of {path} has no chat template{others}."
    remedy = "Add chat_template.jinja to the model's folder. Use the template that the model was trained with."


class UnusableChatTemplate(ModelError):
    problem = "The model's chat template cannot render turns with the roles {roles}: {reason}"
    remedy = "Use turns that the template supports: usually an optional system turn, then user and assistant alternate."


class MissingPackage(ModelError):
    problem = "The processor or the model of {path} needs the package {package}, which is not installed."
    remedy = "Install it: pip install {package}"


class NoTokenizerFile(ModelError):
    problem = "{path} holds no tokenizer.json{others}."
    remedy = (
        "Copy tokenizer.json from the model that you fine-tuned. To convert other tokenizer files, run "
        "`pip install sentencepiece tiktoken protobuf`."
    )


class ProcessorCode(ModelError):
    problem = "The processor or tokenizer of {path} needs the code of its authors, which this tool does not run."
    remedy = (
        "Use the processor and tokenizer files of the same model in the layout of transformers: config files without "
        "auto_map."
    )


class WrongProcessor(ModelError):
    problem = "The processor of {path} does not belong to its model, which is of type {model_type}: {reason}"
    remedy = "Copy the processor and tokenizer files from the model that you fine-tuned."


class NoFastTokenizer(ModelError):
    problem = "The tokenizer of {path} cannot report which characters a token covers."
    remedy = "Save the model with its tokenizer.json (the fast tokenizer)."


class UnknownGeometry(ModelError):
    problem = "The image processor resizes to {size}; positions cannot be mapped back from that size to the image."
    remedy = "In preprocessor_config.json, give `size` the keys `height` and `width`, or the key `shortest_edge`."


class NoSuchModule(ModelError):
    problem = "The model has no module {name}."
    remedy = "Report the model's config.json: the description of its family does not fit this checkpoint."


class NoDevice(SettingError):
    problem = "Device {device} is not available: {reason}"
    remedy = 'Use one of: {choices}, or "auto".'


class NoGpus(SettingError):
    problem = "A model can be spread over the GPUs of this machine only if it has some; torch finds none."
    remedy = "Leave out --device-map."


class TooLargeForGpus(SettingError):
    problem = "The GPUs of this machine together cannot hold the model: {count} of its parts are left over."
    remedy = "Use a machine with more GPU memory, or a model with quantised weights."


class UnknownDtype(SettingError):
    problem = "{dtype} is not a supported data type."
    remedy = "Use one of: {choices}."


class NoBitsandbytes(SettingError):
    problem = "Loading the model in 4 bits (QLoRA) needs the package bitsandbytes, which is not installed."
    remedy = "Run `pip install bitsandbytes`, or leave out --qlora; the model then takes up to four times the memory."


class OutOfMemory(SampleFailed):
    problem = "Sample {id} alone does not fit into memory ({tokens} tokens)."
    remedy = "Free memory on the device, use a smaller data type (such as bfloat16), or leave this sample out."


class PromptTooLong(SampleFailed):
    problem = "The prompt of sample {id} has {tokens} tokens; the model accepts at most {limit}."
    remedy = "Shorten the sample's text, or leave the sample out."


class NotAnswered(ModelError):
    problem = "The model gave no answer to sample {id!r}: {reason}."
    remedy = "Check the question and images of this sample. The measurement leaves this sample out."


class UnreadableSample(ModelError):
    """One sample cannot be given to the model; the other samples are not affected."""

    problem = "Sample {id} cannot be given to the model: {reason}"
    remedy = "Correct or remove this sample."


class NoQuestion(UnreadableSample):
    problem = "Sample {id} has no user turn before its first answer."
    remedy = "Add a user turn with the question before the answer, or remove this sample."


class HostileText(UnreadableSample):
    problem = "The sample's text holds control tokens that the model would obey and that cannot be escaped: {tokens}."
    remedy = "Remove these tokens from the text."


class ImageCount(UnreadableSample):
    problem = "A prompt has {markers} image markers but {images} image(s)."
    remedy = "Give each image exactly one marker in the prompt."


class ImageTokenCount(UnreadableSample):
    problem = "Sample {id} has {tokens} image tokens for {images} image(s); expected {rows} x {columns} for each image."
    remedy = "Check the image markers in the sample, and check that the processor belongs to this model."


class TileTokenCount(UnreadableSample):
    problem = "Sample {id} has {tokens} image tokens; its {tiles} tile(s) need {rows} x {columns} each."
    remedy = "Check the image markers in the sample, and check that the processor belongs to this model."


class ImageTokenTotal(UnreadableSample):
    problem = "Sample {id} has {tokens} image tokens; the sizes of its {images} image(s) give {expected}."
    remedy = "Check the image markers in the sample, and check that the processor belongs to this model."


class NoImageTokens(UnreadableSample):
    problem = "Sample {id} has no image token: there is no image to attend to."
    remedy = "Leave text-only samples out; the scan reads attention on images."


class ElongatedPicture(UnreadableSample):
    problem = (
        "An image of {width} x {height} pixels is too elongated: "
        "the processor would resize it to {new_width} x {new_height} pixels."
    )
    remedy = "Crop the image so that its width and height differ less, or remove this sample."


class AspectRatio(UnreadableSample):
    problem = (
        "An image of {width} x {height} pixels is too elongated: "
        "the processor of this model accepts an aspect ratio of at most {limit}."
    )
    remedy = "Crop the image so that its width and height differ less, or remove this sample."


class PromptMismatch(UnreadableSample):
    problem = "The tokens of sample {id} do not match its prompt."
    remedy = "Check that this model's own processor encoded the text, and that the text was not truncated."


class UnknownBefore(ModelError):
    problem = "The model was loaded without an adapter, so the model before fine-tuning is not known."
    remedy = "Load the base model and your fine-tune as an adapter, or also load the model before fine-tuning."


class UnrelatedModels(ModelError):
    problem = "{model} cannot be a fine-tuned version of {before}. {difference}"
    remedy = "Give the model with which the fine-tuning began as the model before fine-tuning."
