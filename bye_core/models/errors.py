"""Why a model, an adapter or one sample's prompt cannot be used, and what to do about it."""

from __future__ import annotations

from bye_core.errors import ModelError, SettingError


class ModelNotFound(ModelError):
    problem = "No model at {path}: {reason}"
    remedy = "Give a folder holding config.json and *.safetensors, or the id of a model on the Hugging Face hub."


class BrokenModel(ModelError):
    problem = "The model at {path} cannot be loaded: {reason}"
    remedy = "Download or save the model again, whole: config, processor and *.safetensors weights."


class IncompleteWeights(ModelError):
    problem = "The weights at {path} do not fill the model; missing or of another shape: {names}."
    remedy = "Use the complete checkpoint: the rest would be random numbers and the scan meaningless."


class PickleWeights(ModelError):
    problem = "{path} holds no safetensors weights{found}."
    remedy = "Convert the weights to safetensors (save_pretrained does it); pickled files can run code and are refused."


class TextOnlyModel(ModelError):
    problem = "The model at {path} ({model_type}) has no vision part."
    remedy = "Use a vision-language model of one of these families: {supported}."


class UnsupportedFamily(ModelError):
    problem = "Models of type {model_type} are not supported."
    remedy = "Use a model of one of these families: {supported}."


class ForeignCode(ModelError):
    problem = "The adapter at {path} asks for code of its own ({field} = {value})."
    remedy = 'Save it as a plain LoRA: task_type="CAUSAL_LM", {field} = null. Foreign modules are never imported.'


class AdapterMismatch(ModelError):
    problem = "The adapter at {path} was not made for this base model: {reason}"
    remedy = "Load it with the base model it was trained on (its adapter_config.json names {base})."


class NoChatTemplate(ModelError):
    problem = "The processor of {path} has no chat template."
    remedy = (
        "Add chat_template.jinja to the model folder: without it the prompt would not be the one it was trained with."
    )


class UnusableChatTemplate(ModelError):
    problem = "The model's chat template cannot lay out turns {roles}: {reason}"
    remedy = "Use turns that the template knows (usually an optional system, then user and assistant in turn)."


class NoFastTokenizer(ModelError):
    problem = "The tokenizer of {path} cannot say which characters a token covers."
    remedy = "Save the model with its tokenizer.json (the fast tokenizer)."


class UnknownGeometry(ModelError):
    problem = "The image processor resizes by {size}, which has no known way back to the picture."
    remedy = "Use height and width, or shortest_edge, in preprocessor_config.json."


class NoSuchModule(ModelError):
    problem = "The model has no part {name}."
    remedy = "Its family description does not fit this checkpoint; report the model's config.json."


class NoDevice(SettingError):
    problem = "Device {device} is not available: {reason}"
    remedy = 'Use one of: {choices}, or "auto".'


class UnknownDtype(SettingError):
    problem = "{dtype} is not a usable number type."
    remedy = "Use one of: {choices}."


class NoBitsandbytes(SettingError):
    problem = "Loading the model in 4 bits (QLoRA) needs the package bitsandbytes, which is not installed."
    remedy = (
        "Install it with `pip install bitsandbytes`, or go without --qlora: that takes up to four times the memory."
    )


class UnreadableSample(ModelError):
    """One sample cannot be put to the model; the others can."""

    problem = "Sample {id} cannot be put to the model: {reason}"
    remedy = "Correct or remove this sample."


class NoQuestion(UnreadableSample):
    problem = "Sample {id} has no user turn before its first answer."
    remedy = "Add the question, or remove this sample."


class HostileText(UnreadableSample):
    problem = "A text holds control tokens of the model that cannot be defused: {tokens}."
    remedy = "Remove them from the text."


class ImageCount(UnreadableSample):
    problem = "A prompt has {markers} places for pictures and comes with {pictures} of them."
    remedy = "Give every picture one place in the prompt, and every place one picture."


class ImageTokenCount(UnreadableSample):
    problem = (
        "Sample {id} has {tokens} image tokens for {pictures} pictures, where {rows} x {columns} each were expected."
    )
    remedy = "Check the sample's picture markers, and that processor and model belong together."


class NoImageTokens(UnreadableSample):
    problem = "Sample {id} has no image token: there is no picture to look at."
    remedy = "Attention on the picture is what is scanned; leave text-only samples out."


class ElongatedPicture(UnreadableSample):
    problem = "A picture of {width} x {height} would become {new_width} x {new_height} before it is cropped."
    remedy = "Crop it to a more even shape."


class PromptMismatch(UnreadableSample):
    problem = "The tokens of sample {id} are not those of its prompt."
    remedy = "Check that the text was encoded by this model's own processor and not truncated."
